"""How a class contrast moves over the steps of a training run, on the same documents at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .....data.errors import InputError, MissingInput
from .....data.measurements import Measurements
from .....data.panel import MAX_SMD, standardised_difference, within_caliper
from .....estimators.class_means import (
    Choose,
    ClassSums,
    Score,
    absolute_sums,
    influence_function,
    means_under,
    studentised,
)
from .....estimators.lean import scale
from .....estimators.trend import log_step_slope
from ....inference.intervals import jackknife_se
from ....neuron_sets import Need
from ....nulls.base import Observed, Randomises
from ....prepared import FEWEST_DOCUMENTS, PreparedData
from ....result import Details
from ....statistic import BoundStatistic, Statistic, Values
from ....statistics.contrasts import BoundContrast, ClassContrast
from ....statistics.lean import lean_of

if TYPE_CHECKING:
    from ....truth import TrueWorld

FloatArray: TypeAlias = npt.NDArray[np.float64]

FEWEST_STEPS = 3
"""Two points always lie on a line."""
FEWEST_IN_HALF = 3
CALIPER = 0.1
"""Sd of the loss by which the two positions of a pair may differ.

Early in training a token's loss is little but its frequency: matched within deciles, rare positions keep the higher
loss, less so with every step, and influence follows loss.  So pairs must lie closer here than at one step alone.
"""
HOW = (
    "measure each revision with neuronull measure --revision STEP --out DIR/checkpoints/STEP, then "
    "neuronull run --measurements DIR; or give a model directory that keeps weights in checkpoints/STEP"
)


@dataclass(frozen=True)
class Step:
    """One step of the training: sums over the data's documents, and why they cannot be used (or nothing)."""

    sums: ClassSums
    weights_hash: str
    unfit: str

    def on(self, documents: Tensor) -> ClassSums:
        """Sums in which the documents outside the mask `documents` [D] count for nothing."""
        kept = documents.double()
        return ClassSums(self.sums.x * kept[:, None, None, None], self.sums.weight * kept, self.sums.half)


@dataclass(frozen=True)
class Trend(Statistic):
    """Slope over log step of a class contrast; `contrast` maps the plateau size to (choose, score)."""

    needs: ClassVar[tuple[Need, ...]] = ("influence", "checkpoints")

    contrast: Callable[[int], ClassContrast] = lean_of

    def bind(self, data: PreparedData) -> BoundTrend:
        """Per-document sums at every step, on the documents that hold pairs at all of them."""
        steps = training_steps(data)
        left_out = {step: one.unfit for step, one in steps.items() if one.unfit}
        trained = {step: one for step, one in steps.items() if step >= 1 and not one.unfit}
        if len(trained) < FEWEST_STEPS:
            why = "".join(f"; step {step}: {said}" for step, said in left_out.items())
            raise MissingInput(
                f"{len(trained)} checkpoints from step 1 on can be used, {FEWEST_STEPS} are needed{why}",
                "checkpoints/", HOW,
            )  # fmt: skip
        _refuse_twins(trained)
        documents = torch.stack([one.sums.weight > 0 for one in trained.values()]).all(0)
        lacking = too_few(documents, data)
        if lacking:
            raise MissingInput(f"at all of steps {', '.join(map(str, trained))}, {lacking}", "checkpoints/",
                               "take more or longer documents")  # fmt: skip
        choose, score = self.contrast(data.n_head)
        parts = {step: _contrast(one.on(documents), choose, score, data.n_head) for step, one in trained.items()}
        before = steps.get(0)
        start = None if before is None or before.unfit else _contrast(before.sums, choose, score, data.n_head)
        return BoundTrend(parts, start, left_out)


def _contrast(sums: ClassSums, choose: Choose, score: Score, n_head: int) -> BoundContrast:
    """Swaps of neurons exchange what the power relation of the step leaves: its exponent may change over training."""
    influence = means_under(sums, torch.zeros(1, sums.documents, dtype=torch.bool))[0, ..., 0]
    return BoundContrast(sums, choose, score, influence=influence, scale=scale(influence, n_head))


def training_steps(data: PreparedData) -> dict[int, Step]:
    """Every step that was measured, the data's own among them where its number is known, in order.

    Raises
    ------
    MissingInput
        If there is no other step than the data's own.
    """
    own, checkpoints = data.measurements.training_step, data.measurements.checkpoints
    if not checkpoints:
        raise MissingInput("no checkpoints of the training were measured", "checkpoints/", HOW)
    known = sorted({*checkpoints, *(() if own is None else (own,))})
    return {step: _step(data, data.measurements if step == own else checkpoints[step]) for step in known}


def _step(data: PreparedData, measured: Measurements) -> Step:
    """Sums over close pairs of the data's documents; the split into halves is the data's."""
    if measured.delta_loss is None:
        raise MissingInput("a checkpoint has no influence", "influence.safetensors", "measure delta_loss")
    panel = within_caliper(measured.panel, CALIPER)
    rare = panel.a_rows[np.isin(panel.document[panel.a_rows], data.documents)]
    common = panel.match[rare]
    document, d = data.unit[np.searchsorted(data.documents, panel.document[rare])], data.n_units
    pairs = torch.from_numpy(np.bincount(document, minlength=d).astype(np.float64))
    x = absolute_sums(measured.delta_loss, rare, common, document, d)
    unfit = too_few(pairs > 0, data)
    apart = standardised_difference(panel.loss[rare], panel.loss[common])
    if not unfit and abs(apart) > MAX_SMD:
        unfit = f"pairs differ in loss by {apart:+.2f} sd"
    return Step(ClassSums(x, pairs, torch.from_numpy(data.half)), measured.manifest.model.hash, unfit)


def too_few(documents: Tensor, data: PreparedData) -> str:
    """Why the documents of a mask [D] are too few, or nothing."""
    by_half = np.bincount(data.half[documents.numpy()], minlength=2)
    if by_half.sum() < FEWEST_DOCUMENTS or by_half.min() < FEWEST_IN_HALF:
        return f"{by_half.sum()} documents hold pairs of like loss, {FEWEST_DOCUMENTS} are needed"
    return ""


def _refuse_twins(steps: Mapping[int, Step]) -> None:
    """Refuse two steps with the same weights: one of them was measured on the wrong revision."""
    seen: dict[str, int] = {}
    for step, one in steps.items():
        twin = seen.setdefault(one.weights_hash, step)
        if twin != step:
            raise MissingInput(f"steps {twin} and {step} hold the same weights", "checkpoints/",
                               "measure each at its own --revision")  # fmt: skip


class BoundTrend(BoundStatistic):
    """A trend on one data: `parts` by step, from step 1 on; `start` at step 0, which has no logarithm, beside it."""

    kinds: ClassVar[tuple[Randomises, ...]] = ("labels", "influence")

    def __init__(self, parts: Mapping[int, BoundContrast], start: BoundContrast | None, left_out: dict[int, str]):
        self.parts, self.start, self.left_out = dict(parts), start, left_out
        self.last = self.parts[max(self.parts)]

    def slope(self, values: list[Tensor]) -> Tensor:
        """Slope of what each step has, in the order of `parts`."""
        return log_step_slope(torch.stack(values, dim=-1), list(self.parts))

    def offers(self) -> Mapping[Randomises, Observed]:
        """Labels of documents and the classes' influences (the last step's); swaps are the same at every step."""
        return self.last.offers()

    def evaluate(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Values:
        """Studentised under document swaps; plain under neuron swaps."""
        if draws.dtype != torch.bool:
            raise InputError("this null model draws the influences of one model, a trend has several", "--null",
                             "choose neuron_swaps or document_swaps")  # fmt: skip
        if kind == "influence":
            value = self.slope([p.evaluate(kind, draws, replicates, seed).estimate for p in self.parts.values()])
            return Values(value, value)
        found = [influence_function(p.sums, draws, p.choose, p.score) for p in self.parts.values()]
        value = self.slope([one for one, _ in found])
        return Values(value, studentised(value, self.slope([derivative for _, derivative in found])))

    def leave_one_out(self) -> Tensor:
        """Slope without each document in turn, [D, 1]; a document that counts for nothing changes nothing."""
        return self.slope([part.leave_one_out() for part in self.parts.values()])

    def true_values(self, world: TrueWorld) -> FloatArray:
        """Slope of the true contrast over log step, at the sets chosen on the data of each step."""
        values = []
        for step, part in self.parts.items():
            level = torch.from_numpy(np.exp(world.truth.at_step[step]))
            choice = part.choose(means_under(part.sums, part.identity("labels")))
            values.append(part.score(level[None, None, ..., None].expand(1, 2, -1, -1, 1), choice)[0])
        value: FloatArray = self.slope(values).numpy()
        return value

    def describe(self) -> Details:
        """The contrast at each step with its jackknife standard error, step 0 first; what was left out and why."""
        steps = ({} if self.start is None else {0: self.start}) | self.parts
        said: dict[str, Any] = {"steps": len(self.parts), "documents": int((self.last.sums.weight > 0).sum())}
        for step, part in steps.items():
            without = part.leave_one_out()[:, 0].numpy()
            said[f"step_{step}"] = {
                "selectivity": float(part.evaluate("labels", part.identity("labels"), range(1), 0).estimate[0, 0]),
                "standard_error_over_documents": jackknife_se(without, part.sums.half.numpy()),
                "matched_pairs": int(part.sums.weight.sum()),
            }
        return Details(further=said | {f"step_{step}_left_out": why for step, why in self.left_out.items()})
