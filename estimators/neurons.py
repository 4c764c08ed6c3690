"""Covariates of neurons: what a matched neuron is matched on (docs/methods.md#covariates)."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from ..data.adapters import Adapter
from ..data.measurements import IntArray, PromotedTokens

SPARSE = 0.1
"""An activation under this many sd counts as inactive."""

WEAK_SHARE = 0.05
"""Share of the unembedding's singular directions that are its weak ones."""

COLUMNS = ("mean_abs", "sd", "kurtosis", "sparsity", "w_out_norm", "weak_direction_share", "token_frequency_share")
"""Columns of the table, as in the measurement directory."""

_CHUNK = 2048

_LOGITS = 1 << 25
"""Logits of neurons and tokens that are held at a time."""

PROMOTED = 16
"""Tokens that are kept for a neuron, on each side."""


@torch.no_grad()
def promoted_tokens(adapter: Adapter, layer: int, given: npt.NDArray[np.bool_] | None = None) -> PromotedTokens:
    """Return the tokens whose logits rise and fall most with each neuron's activation.

    Through the last norm's gain and the unembedding alone (the "logit lens" of the output weights, Geva et al. 2022,
    arXiv 2203.14680): for a layer before the last, what later layers make of it is left out.

    Parameters
    ----------
    adapter
        The model's parts.
    layer
        Layer of the neurons.
    given
        Which token ids the tokenizer can give, bool [V]; all of them if None.
    """
    norm, w_out = adapter.final_norm(), adapter.written(layer).detach().float()
    if norm.kind == "layer":
        w_out = w_out - w_out.mean(1, keepdim=True)  # as the norm sees it
    folded = folded_unembedding(adapter).float()
    tokens = torch.arange(len(folded)) if given is None else torch.from_numpy(np.flatnonzero(given[: len(folded)]))
    folded = folded[tokens.to(folded.device)]
    kept = min(PROMOTED, len(tokens))
    rows = max(1, _LOGITS // max(1, len(folded)))
    parts = [(w_out[start : start + rows] @ folded.T).cpu() for start in range(0, len(w_out), rows)]
    raised, lowered = (
        torch.cat([tokens[part.topk(kept, largest=largest).indices] for part in parts]) for largest in (True, False)
    )
    return PromotedTokens(raised, lowered)


@torch.no_grad()
def covariates(
    adapter: Adapter,
    layer: int,
    activation: torch.Tensor,
    counts: IntArray,
    given: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Return one row of covariates a neuron.

    Parameters
    ----------
    adapter
        The model's parts.
    layer
        Layer of the neurons.
    activation
        Activation at the scored positions, [T, N].
    counts
        Occurrences of each token in the training corpus, int64 [V].
    given
        Which token ids the tokenizer can give, bool [V]: the other rows of an embedding are padding, and no part of the
        vocabulary that directions are about.  All of them if None.

    Returns
    -------
    DataFrame
        `COLUMNS`, float64, N rows. ``mean_abs``: mean |a|. ``sd``: population standard deviation. ``kurtosis``: fourth
        central moment over sd^4 (3 for a normal variable); 0 for a neuron that never changes. ``sparsity``: share of
        positions with |a| < sd / 10. ``w_out_norm``: norm of the output weights. ``weak_direction_share`` and
        ``token_frequency_share``: see the functions of that name.
    """
    table = activation_moments(activation)
    w_out = adapter.written(layer).detach().double()
    unembedding = folded_unembedding(adapter)
    if given is not None and not given.all():
        unembedding, counts = unembedding[torch.from_numpy(given).to(unembedding.device)], counts[given]
    table["w_out_norm"] = w_out.norm(dim=1).cpu().numpy()
    table["weak_direction_share"] = weak_direction_share(unembedding, w_out).cpu().numpy()
    table["token_frequency_share"] = token_frequency_share(unembedding, w_out, counts).cpu().numpy()
    return table[list(COLUMNS)]


def folded_unembedding(adapter: Adapter) -> torch.Tensor:
    """Return the unembedding with the final norm's gain folded in, W_U diag(gain), [V, d].

    So its input is the normed residual stream itself, the space that output weights are written in.
    """
    return adapter.unembedding()[0].detach() * adapter.final_norm().gain.detach()


def activation_moments(activation: torch.Tensor) -> pd.DataFrame:
    """Return mean_abs, sd, kurtosis and sparsity of every neuron from its activations [T, N]; sums in float64."""
    total, neurons = activation.shape
    parts = [activation[start : start + _CHUNK] for start in range(0, total, _CHUNK)]
    zero = torch.zeros(neurons, dtype=torch.float64)
    origin = activation[0].double()  # so that a constant has a variance of exactly 0
    mean = origin + sum(((part.double() - origin).sum(0) for part in parts), zero) / total
    mean_abs, second, fourth = zero.clone(), zero.clone(), zero.clone()
    for part in parts:
        mean_abs += part.double().abs().sum(0)
        square = (part.double() - mean).square()
        second += square.sum(0)
        fourth += square.square().sum(0)
    variance = second / total
    sd = variance.sqrt()
    inactive = sum(((part.double().abs() < SPARSE * sd).sum(0) for part in parts), torch.zeros(neurons))
    kurtosis = torch.where(variance > 0, fourth / total / variance.square(), zero)
    columns = {"mean_abs": mean_abs / total, "sd": sd, "kurtosis": kurtosis, "sparsity": inactive / total}
    return pd.DataFrame({name: value.double().numpy() for name, value in columns.items()})


def weak_direction_share(unembedding: torch.Tensor, w_out: torch.Tensor) -> torch.Tensor:
    """Return the norm of each neuron's projection on the unembedding's weakest directions, over its norm, [N].

    The weakest directions are the right singular vectors of the lowest `WEAK_SHARE` of singular values, at least one:
    where entropy neurons write (Stolfo et al. 2024, section 4).

    Parameters
    ----------
    unembedding
        With the final norm's gain folded in, [V, d].
    w_out
        Output weights, float64 [N, d].
    """
    gram = torch.zeros(w_out.shape[1], w_out.shape[1], dtype=torch.float64, device=w_out.device)
    for start in range(0, len(unembedding), _CHUNK):
        part = unembedding[start : start + _CHUNK].double()
        gram.addmm_(part.T, part)
    weak = max(1, round(WEAK_SHARE * w_out.shape[1]))
    # eigenvalues come in increasing order
    directions = torch.linalg.eigh(gram).eigenvectors[:, :weak]
    return _ratio((w_out @ directions).norm(dim=1), w_out.norm(dim=1))


def token_frequency_share(unembedding: torch.Tensor, w_out: torch.Tensor, counts: IntArray) -> torch.Tensor:
    """Return |cos| between each neuron's direct effect on the logits and the centred log frequencies, [N].

    The effect is W_U w_out (gain folded in), the frequencies are log p less its mean over the vocabulary, with 1 added
    to every count (Stolfo et al. 2024, section 5).

    Parameters
    ----------
    unembedding
        With the final norm's gain folded in, [V, d].
    w_out
        Output weights, float64 [N, d].
    counts
        Occurrences of each token, int64 [V].
    """
    log_p = torch.from_numpy(np.log(counts + 1.0)).to(w_out)
    log_p -= log_p[0].clone()  # so that equal counts leave exact zeros
    log_p -= log_p.mean()
    dot, square = w_out.new_zeros(len(w_out)), w_out.new_zeros(len(w_out))
    for start in range(0, len(unembedding), _CHUNK):
        effect = w_out @ unembedding[start : start + _CHUNK].double().T
        dot += effect @ log_p[start : start + _CHUNK]
        square += effect.square().sum(1)
    return _ratio(dot.abs(), square.sqrt() * math.sqrt(float(log_p.square().sum())))


def _ratio(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """Return numerator / denominator, 0 where the denominator is 0."""
    return torch.where(denominator > 0, numerator / denominator, torch.zeros_like(numerator))
