"""The audit of head effects: a sample of them recomputed by naive forward passes, in every run that measures heads.

A naive pass is the model's own, of a whole document, with a hook that replaces a head's output and another that reads
the neurons; nothing is cut, cached or restarted. It runs in float64 where the model is small enough for a second copy,
in the model's own type else. What replaces a head is averaged anew over all documents, in the model's own type: an
average of thousands of positions needs no float64, and these passes are most of the audit's cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..data.adapters import Adapter
from ..data.measurements import Audit, FloatArray, Heads, IntArray, Panel
from ..data.models import LoadedModel
from ..data.options import Progress, Silent
from .audit import AuditError, naive_model
from .forward import captured_inputs
from .heads import HeadAblation
from .restart import input_replaced

LARGEST = 4
"""Rows of the heads table with the largest mean effects, each in its worst document, that are always in the sample."""

DRAWN = 12
"""Further pairs of a row and a document, drawn by the seed from one layer after the other."""

ABSOLUTE, RELATIVE = 1e-3, 1e-3
"""Error that is allowed: so many sd, and such a share of the effect.

Float32 stayed within 8e-5 sd on random configurations of every family, with tame and with inflated weights, 3 to 40
layers deep, and within 5e-6 sd on the embedded models. The defects that this audit was made for were .02 to .3 sd.
"""

ROUNDINGS = 16
"""Further error that is allowed for rounding: so many epsilons of the type, times the pass's largest activation over
the neuron's sd.

Errors on the same configurations were at most 4 such units in float32 and 2 in half precision, and no more in 40 layers
than in 3. The allowance matters in half precision, and where a neuron's sd is tiny.
"""


@dataclass(frozen=True)
class _Pair:
    """One naive pass: a row of the heads table and a document with matched positions."""

    row: int
    document: int


@torch.no_grad()
def audit_heads(
    loaded: LoadedModel,
    documents: Sequence[Sequence[int]],
    panel: Panel,
    layer: int,
    sd: FloatArray,
    heads: Heads,
    *,
    ablation: HeadAblation = "mean",
    seed: int = 0,
    progress: Progress | None = None,
) -> Audit:
    """Compare a sample of head effects with naive forward passes.

    Parameters
    ----------
    heads
        What is checked; the other parameters are those of `neuronull.estimators.heads.head_effects`.
    seed
        Of the sample.

    Returns
    -------
    Audit
        ``n`` (effects compared, each on one neuron in one class), ``max_abs_error`` (sd), and further ``passes``,
        ``largest_effect`` (sd, among those compared), ``max_tolerance_share`` (largest ratio of an error to what is
        allowed) and ``method``.

    Raises
    ------
    AuditError
        If an effect is further from the naive one than `ABSOLUTE`, `RELATIVE` and `ROUNDINGS` allow.
    """
    sample = _sample(heads, panel, seed)
    naive = _Naive(loaded, documents, panel, layer, sd, ablation)
    with (progress or Silent()).stage("head audit", len(sample)) as stage:
        naive.average(sorted({int(heads.layer[pair.row]) for pair in sample}))
        compared = []
        for pair in sample:
            right, allowance = naive.effects(int(heads.layer[pair.row]), int(heads.head[pair.row]), pair.document)
            found = heads.effect[pair.row, pair.document].double()
            compared.append(_compare(found, right[:, heads.neuron], allowance[heads.neuron]))
            stage.advance()
    return _verdict(heads, sample, compared, naive.method)


@dataclass(frozen=True)
class _Compared:
    """How the effects of one pass compare, all but the share in sd.

    ``share`` is the largest ratio of an error to what is allowed; ``worst`` and ``allowed`` are those two numbers.
    ``error`` is the largest error and ``largest`` the largest effect.
    """

    share: float
    worst: float
    allowed: float
    error: float
    largest: float


def _compare(found: torch.Tensor, right: torch.Tensor, allowance: torch.Tensor) -> _Compared:
    """Compare effects [2, M] with the right ones; `allowance` [M] for rounding."""
    error = (found - right).abs()
    allowed = ABSOLUTE + RELATIVE * right + allowance
    share = (error / allowed).nan_to_num(nan=torch.inf).flatten()
    at = int(share.argmax())
    return _Compared(
        float(share[at]),
        float(error.flatten()[at]),
        float(allowed.flatten()[at]),
        float(error.max()),
        float(right.max()),
    )


def _sample(heads: Heads, panel: Panel, seed: int) -> list[_Pair]:
    """Return the pairs of row and document that are checked."""
    random = np.random.Generator(np.random.Philox(key=[seed, 2]))
    present = np.unique(panel.document[panel.a_rows])
    missing = torch.isnan(heads.effect[0, torch.from_numpy(present)]).flatten(1).all(1).numpy()
    present = present[~missing]  # heads may be measured on some documents only
    if not len(present):
        raise AuditError("no effect of a head is a number")
    mean = torch.stack([effect[torch.from_numpy(present)].mean((1, 2)) for effect in heads.effect])
    highest, where = mean.max(1)
    largest = [_Pair(int(row), int(present[int(where[row])])) for row in highest.argsort(descending=True)[:LARGEST]]
    by_layer = [random.permutation(np.flatnonzero(heads.layer == at)) for at in random.permutation(_layers(heads))]
    drawn = [rows[turn] for turn in range(DRAWN) for rows in by_layer if turn < len(rows)][:DRAWN]
    return largest + [_Pair(int(row), int(random.choice(present))) for row in drawn]


def _layers(heads: Heads) -> IntArray:
    found: IntArray = np.unique(heads.layer)
    return found


def _verdict(heads: Heads, sample: Sequence[_Pair], compared: Sequence[_Compared], method: str) -> Audit:
    at = int(np.argmax([one.share for one in compared]))
    pair, worst = sample[at], compared[at]
    if not worst.share <= 1:
        head = int(heads.head[pair.row])
        which = "all heads" if head < 0 else f"head {head}"
        raise AuditError(
            f"an audited effect of {which} in layer {heads.layer[pair.row]} on document {pair.document} is off by "
            f"{worst.worst:.3g} sd, {worst.allowed:.3g} sd is allowed (naive pass: {method})"
        )
    return Audit.model_validate(
        {
            "n": len(sample) * 2 * len(heads.neuron),
            "max_abs_error": max(one.error for one in compared),
            "passes": len(sample),
            "largest_effect": max(one.largest for one in compared),
            "max_tolerance_share": worst.share,
            "method": method,
        }
    )


class _Naive:
    """Whole forward passes of the model itself, clean and with a head's output replaced."""

    def __init__(
        self,
        loaded: LoadedModel,
        documents: Sequence[Sequence[int]],
        panel: Panel,
        layer: int,
        sd: FloatArray,
        ablation: HeadAblation,
    ) -> None:
        self._documents, self._panel, self._layer, self._ablation = documents, panel, layer, ablation
        self._own = loaded
        self._model, self.method = naive_model(loaded)
        self._adapter: Adapter = type(loaded.adapter)(self._model)
        self._device = loaded.device
        self._epsilon = torch.finfo(loaded.dtype).eps
        self._scale = torch.from_numpy(np.where(sd > 0, sd, 1.0))
        self._means: dict[int, torch.Tensor] = {}

    def average(self, layers: Sequence[int]) -> None:
        """Average the concatenated head outputs of some layers over all scored positions, where means replace them."""
        if self._ablation != "mean":
            return
        for document in np.unique(self._panel.document):
            position = torch.from_numpy(self._panel.position[self._panel.document == document]).to(self._device)
            with captured_inputs({str(at): self._own.adapter.head_site(at) for at in layers}) as seen:
                self._pass(self._own.model, [list(self._documents[document])])
            for at in layers:
                part = seen[str(at)][0, position].double().sum(0) / len(self._panel)
                self._means[at] = self._means[at] + part if at in self._means else part

    def effects(self, at: int, head: int, document: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean |change| of every neuron per class in sd, float64 [2, N]; head -1 stands for all heads.

        And what rounding is allowed to add to each neuron's effect in the type that is audited, [N].
        """

        def ablate(output: torch.Tensor) -> torch.Tensor:
            output = output.clone()
            width = output.shape[-1] // self._adapter.heads(at)
            replaced = slice(None) if head < 0 else slice(head * width, (head + 1) * width)
            output[1, :, replaced] = self._value(at, output)[replaced]
            return output

        with (
            input_replaced(self._adapter.head_site(at), ablate),
            captured_inputs({"neurons": self._adapter.neuron_site(self._layer)}) as seen,
        ):
            self._pass(self._model, [list(self._documents[document])] * 2)
        clean, ablated = seen["neurons"].double().cpu()
        change = (ablated - clean).abs() / self._scale
        rows = (self._panel.a_rows, self._panel.b_rows)
        here = [self._panel.position[one[self._panel.document[one] == document]] for one in rows]
        effect = torch.stack([change[torch.from_numpy(position)].mean(0) for position in here])
        largest = seen["neurons"][:, torch.from_numpy(np.concatenate(here)).to(self._device)].abs().max()
        return effect, ROUNDINGS * self._epsilon * float(largest) / self._scale

    def _value(self, at: int, output: torch.Tensor) -> torch.Tensor:
        """What replaces the concatenated head outputs, [heads * width]."""
        if self._ablation == "mean":
            return self._means[at].to(output)
        return torch.zeros_like(output[1, 0]) if self._ablation == "zero" else output[1, 0].clone()

    def _pass(self, model: Any, ids: list[list[int]]) -> None:
        model.base_model(torch.tensor(ids, device=self._device), use_cache=False)
