"""Planted measurements: what a measured model would have given, had its truth been the one that the settings say."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.stats
import torch

from ..measurements import CorpusId, Effects, JointAblation, Manifest, Measurements, ModelId
from . import activations, circuitry, influence
from .effects import Marked, WeightShifts, marked, planted_effects, weight_shifts
from .settings import ALL_PIECES, PIECES, Piece, Settings
from .training import Checkpoint, TrainingSettings, planted_training

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]

_STREAMS = ("text", "scale", "norm", "truth", "influence", "circuit", "activations", "heads", "weights", "covariates",
            "training", "marks", "effects")  # fmt: skip
"""Each part draws from a stream of its own, so that leaving a piece out changes no other."""


@dataclass(frozen=True)
class Truth:
    """What the measurements scatter around.

    ``log_influence`` [2 (rare, common), N], exact up to one constant a class; ``plateau`` int64 [n_h], planted;
    ``circuit`` (its `true_correlation` gives [N, N]) and ``head_effect`` [H, 2, N] (reachable single heads) where those
    pieces were made; ``at_step``: ``log_influence`` at every step of a planted training run; ``closure``, expected loss
    increases up to one constant a class, where sets were asked for; ``effects``, expected sums of effects on whole
    distributions, where that piece was made; ``marked``, the neurons on which such effects are planted.
    """

    log_influence: FloatArray
    plateau: IntArray
    circuit: activations.Circuit | None = None
    head_effect: FloatArray | None = None
    at_step: Mapping[int, FloatArray] = field(default_factory=dict)
    joint_ablation: JointAblation | None = None
    effects: Effects | None = None
    marked: Marked | None = None


@dataclass(frozen=True)
class Planted:
    """Measurements with the truth behind them."""

    measurements: Measurements
    truth: Truth


def planted_measurements(settings: Settings, seed: int, pieces: Collection[Piece] = PIECES) -> Measurements:
    """Measurements of a planted world; the same for the same settings and seed, whatever other `pieces` are made."""
    return planted(settings, seed, pieces).measurements


def planted(settings: Settings, seed: int, pieces: Collection[Piece] = PIECES) -> Planted:
    """Measurements of a planted world and its truth.

    Parameters
    ----------
    settings
        The world.
    seed
        Everything random follows from it.
    pieces
        Which arrays to make; panel and covariates are always there.  Influence is what plateaus are chosen by.

    Raises
    ------
    ValueError
        For a piece that is not one of `ALL_PIECES`.
    """
    unknown = sorted(set(pieces) - set(ALL_PIECES))
    if unknown:
        raise ValueError(f"unknown piece {unknown[0]!r}; pieces are {', '.join(ALL_PIECES)}")

    def rng(stream: str) -> np.random.Generator:
        return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, _STREAMS.index(stream)])))

    text = influence.planted_text(settings, rng("text"))
    log_scale, log_norm = activations.scales(settings, rng("scale")), circuitry.norms(settings, rng("norm"))
    scale = log_scale + log_norm
    groups = marked(settings, rng("marks"))
    shifts = weight_shifts(settings, groups, log_scale)
    log_norm = log_norm + shifts.log_norm
    log_influence, plateau = influence.true_log_influence(settings, scale / scale.std(), rng("truth"))
    wiring = activations.circuit(settings, plateau, log_scale, rng("circuit")) if "activations" in pieces else None
    active = None if wiring is None else activations.activations(wiring, text.panel.document, rng("activations"))
    heads = circuitry.planted_heads(settings, plateau, rng("heads")) if "heads" in pieces else None
    weights = circuitry.planted_weights(settings, plateau, log_norm, rng("weights")) if "weights" in pieces else None
    counts = np.bincount(text.panel.document[text.panel.a_rows], minlength=settings.documents)
    whole = (
        planted_effects(settings, counts, groups, log_scale, scale / scale.std(), rng("effects"))
        if "effects" in pieces
        else None
    )
    changes = (
        influence.loss_changes(settings, text.panel, log_influence, rng("influence")) if "influence" in pieces else None
    )
    measurements = Measurements(
        manifest=_manifest(seed),
        documents=_documents(text, settings),
        panel=text.panel,
        delta_loss=_tensor(changes),
        activation=_tensor(active),
        mean=None if active is None else torch.from_numpy(active.mean(0)),
        neurons=_covariates(settings, active, (log_scale, log_norm), shifts, rng("covariates")),
        w_in=_tensor(None if weights is None else weights.w_in),
        w_out=_tensor(None if weights is None else weights.w_out),
        heads=None if heads is None else heads.heads,
        effects=None if whole is None else whole.effects,
    )
    truth = Truth(
        log_influence, plateau, wiring, None if heads is None else heads.truth,
        effects=None if whole is None else whole.truth, marked=groups,
    )  # fmt: skip
    made = Planted(measurements, truth)
    if isinstance(settings, TrainingSettings) and "influence" in pieces:
        return _trained(made, planted_training(settings, text.panel, rng("training")))
    return made


def _trained(made: Planted, steps: Mapping[int, Checkpoint]) -> Planted:
    """The same documents with the influence of a training run: its last step, and the others as checkpoints."""
    *_, last = steps
    of = {step: _at_step(made.measurements, step, one) for step, one in steps.items()}
    earlier = {step: replace(m, neurons=None) for step, m in of.items() if step != last}
    truth = replace(
        made.truth, log_influence=steps[last].log_influence, plateau=steps[last].plateau,
        at_step={step: one.log_influence for step, one in steps.items()},
    )  # fmt: skip
    return Planted(replace(of[last], checkpoints=earlier), truth)


def _at_step(measurements: Measurements, step: int, made: Checkpoint) -> Measurements:
    told = measurements.manifest.model_dump() | {"training_step": step}
    told["model"] |= {"revision": f"step {step}", "hash": f"{step:064x}"}
    manifest = Manifest.model_validate(told)
    return replace(measurements, manifest=manifest, panel=made.panel, delta_loss=torch.from_numpy(made.changes))


def _tensor(array: npt.NDArray[np.float32] | None) -> torch.Tensor | None:
    return None if array is None else torch.from_numpy(array)


def _covariates(
    settings: Settings,
    active: npt.NDArray[np.float32] | None,
    logs: tuple[FloatArray, FloatArray],
    shifts: WeightShifts,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Covariates of the neurons: of the activations where they were made, else drawn to look alike.

    ``logs``: log activation scale and log output norm, [N] each.
    """
    n = settings.neurons
    log_scale, log_norm = logs
    weak, frequency = shifts.shares(rng.beta(2, 30, n), rng.beta(1, 20, n))
    shares = {
        "w_out_norm": np.exp(log_norm),
        "weak_direction_share": weak,
        "token_frequency_share": frequency,
    }
    if active is None:
        firing = rng.random(n)
        of_activation = {
            "mean_abs": np.exp(log_scale) * firing,
            "sd": np.exp(log_scale),
            "kurtosis": 3 + rng.gamma(2, 2, n),
            "sparsity": 1 - firing,
        }
    else:
        sd = active.std(0)
        of_activation = {
            "mean_abs": np.abs(active).mean(0),
            "sd": sd,
            "kurtosis": scipy.stats.kurtosis(active, axis=0, fisher=False),
            "sparsity": (np.abs(active) < 0.1 * sd).mean(0),
        }
    return pd.DataFrame(
        {name: np.asarray(column, dtype=np.float64) for name, column in (of_activation | shares).items()}
    )


def _documents(text: influence.Text, settings: Settings) -> pd.DataFrame:
    count = len(text.input_ids)
    table = pd.DataFrame(
        {"document": np.arange(count), "source": [f"planted {d}" for d in range(count)], "input_ids": text.input_ids}
    )
    if settings.sources:
        table["cluster"] = influence.source_of(settings)
    return table


def _manifest(seed: int) -> Manifest:
    return Manifest(
        model=ModelId(id="planted", hash="0" * 64),
        architecture="planted",
        layer=1,
        dtype="float32",
        device="cpu",
        corpus=CorpusId(id="planted", hash="0" * 64),
        counts_hash="0" * 64,
        vocabulary=influence.VOCABULARY,
        conditioning="target",
        threshold=influence.THRESHOLD,
        ablation="mean",
        seed=seed,
        versions={},
    )
