"""A statistic from a function of data and sets: what an author of a claim writes in ten lines.

The function is called with a view of the measurements and with sets, one row per draw; the observed set is a draw like
any other.  It is called once for each half of the documents where the set was chosen on the other, else once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ...data.errors import InputError, MissingInput
from ...data.measurements import EFFECTS
from ..neuron_sets import Need
from ..nulls.base import Randomises
from ..nulls.guard import blamed
from ..prepared import PreparedData
from ..statistic import Statistic
from .sets import BoundSet

StatisticFunction: TypeAlias = Callable[["DataView", Tensor], Any]


class ConditionView:
    """Measurements at the matched positions of one condition, on the documents that a function is to look at.

    Attributes
    ----------
    name
        Of the condition, for tables.
    """

    def __init__(self, view: DataView, side: Literal[0, 1], name: str) -> None:
        self._view, self._side, self.name = view, side, name

    @property
    def _rows(self) -> Tensor:
        self._view.read_documents = True
        panel = self._view.prepared.panel
        rows = panel.a_rows if self._side == 0 else panel.b_rows
        return torch.from_numpy(rows[self._view.kept[self._view.prepared.pair_unit]])

    @property
    def document(self) -> Tensor:
        """Document of each position, int64 [P]."""
        return torch.from_numpy(self._view.prepared.panel.document)[self._rows]

    @property
    def loss(self) -> Tensor:
        """The model's loss at each position, [P] nats."""
        return torch.from_numpy(self._view.prepared.panel.loss)[self._rows]

    @property
    def delta_loss(self) -> Tensor:
        """Change of the loss at each position when a neuron is ablated, [P, N] nats."""
        return self._view.prepared.delta_loss[self._rows]

    @property
    def influence(self) -> Tensor:
        """Mean absolute change of the loss when a neuron is ablated, float64 [N] nats."""
        sums = self._view.prepared.influence_sums
        kept = self._kept
        total: Tensor = sums.x[kept, self._side, :, 0].sum(0) / sums.weight[kept].sum()
        return total

    @property
    def activation(self) -> Tensor:
        """Activation of each neuron at each position, [P, N]."""
        found = self._view.prepared.measurements.activation
        if found is None:
            raise MissingInput("no activations were measured", "activations.safetensors", "measure them")
        return found[self._rows].float()

    @property
    def effects(self) -> Mapping[str, Tensor]:
        """Mean change of loss, entropy and the like when a neuron is ablated, by name, float64 [N] nats each."""
        return self._effects(self._view.prepared.effects.signed)

    @property
    def absolute_effects(self) -> Mapping[str, Tensor]:
        """Mean absolute change of the same, by name, float64 [N] nats each."""
        return self._effects(self._view.prepared.effects.absolute)

    @property
    def head_effects(self) -> Tensor:
        """Mean effect of each head that can reach the layer on each neuron, float64 [H, N] sd."""
        data, kept = self._view.prepared, self._kept
        heads = range(len(data.reachable_heads))
        documents = int(data.unit_sizes[self._view.kept].sum())
        return torch.stack([data.head_effect(h)[kept, self._side].double().sum(0) / documents for h in heads])

    @property
    def _kept(self) -> Tensor:
        self._view.read_documents = True
        return torch.from_numpy(self._view.kept)

    def _effects(self, sums: Tensor) -> Mapping[str, Tensor]:
        data, kept = self._view.prepared, self._kept
        rows = torch.from_numpy(data.documents)[kept[torch.from_numpy(data.unit)]]
        pairs = data.pairs[kept].sum()
        return {name: sums[k, rows, self._side].double().sum(0) / pairs for k, name in enumerate(EFFECTS)}


class NeuronColumns(Mapping[str, Tensor]):
    """Columns of the neurons table, float64 [N] each; which ones are read is kept."""

    def __init__(self, data: PreparedData) -> None:
        table = data.measurements.neurons
        if table is None:
            raise MissingInput("no neuron covariates were measured", "neurons.parquet", "measure them")
        self._table = table
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._table:
            raise InputError(f"there is no column {name!r}", "neurons.parquet", f"choose {', '.join(self._table)}")
        self.read.add(name)
        return torch.from_numpy(self._table[name].to_numpy(dtype=np.float64, copy=True))

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table.columns)


class DataView:
    """What a statistic function may look at.

    Attributes
    ----------
    a, b
        The two conditions, on the documents that the function is to look at.
    neurons
        Columns of the neurons table, by name.
    n_neurons
        Neurons of the layer, N.
    """

    def __init__(self, data: PreparedData, half: int | None = None, without: int | None = None) -> None:
        self.prepared = data
        self._half, self._without = half, without
        self.read_documents = False
        self.a = ConditionView(self, 0, data.conditions.a.name)
        self.b = ConditionView(self, 1, data.conditions.b.name)
        self._neurons: NeuronColumns | None = None

    @property
    def kept(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether the function is to look at each unit of documents with matched positions, bool [U]."""
        kept = np.ones(self.prepared.n_units, dtype=np.bool_)
        if self._half is not None:
            kept = self.prepared.half == self._half
        if self._without is not None:
            kept = kept.copy()
            kept[self._without] = False
        return kept

    @property
    def neurons(self) -> NeuronColumns:
        """Columns of the neurons table."""
        if self._neurons is None:
            self._neurons = NeuronColumns(self.prepared)
        return self._neurons

    @property
    def n_neurons(self) -> int:
        """Neurons of the layer, N."""
        return self.prepared.measurements.n_neurons

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """Input and output weights of the layer, ``w_in`` and ``w_out``, [N, d] each."""
        return {"w_in": self.prepared.w_in, "w_out": self.prepared.w_out}


@dataclass(frozen=True)
class FunctionStatistic(Statistic):
    """A function of (data, sets) -> [R], one number per row of ``sets`` int64 [R, n].

    Attributes
    ----------
    function
        Treats every row alike: the observed set and its null sets share one path.
    reads
        What must be measured for it.
    mean_over
        What it is, near enough, a mean over, so that what null sets share with the observed set can be taken out:
        "members", "pairs", or "none".
    """

    function: StatisticFunction = lambda data, sets: sets.double().mean(1)
    reads: tuple[Need, ...] = ()
    mean_over: Literal["members", "pairs", "none"] = "members"

    @property
    def needs(self) -> tuple[Need, ...]:  # type: ignore[override]
        """What must be measured for it."""
        return self.reads

    def bind(self, data: PreparedData) -> BoundFunction:
        """The function on the data; it is called once to see what it reads."""
        return BoundFunction(data, self)


class BoundFunction(BoundSet):
    """A statistic function on one set of prepared data."""

    kinds: ClassVar[tuple[Randomises, ...]] = ("neurons",)

    def __init__(self, data: PreparedData, how: FunctionStatistic) -> None:
        super().__init__(data)
        self.how, self.terms = how, how.mean_over
        self.columns_read: set[str] = set()
        self._halves: tuple[int | None, ...] = (0, 1) if data.neuron_set.cross_fitted else (None,)
        self._views = [DataView(data, None if h is None else 1 - h) for h in self._halves]
        self.value((self.sets[0][None], self.sets[1][None]), range(1), 0)
        self.weights_only = not any(view.read_documents for view in self._views)

    def value(self, sets: tuple[Tensor, Tensor], replicates: range, seed: int) -> Tensor:
        """The function of each row of sets; averaged over the halves where the set was chosen on one, [R]."""
        found = [self._called(view, sets[chosen or 0]) for view, chosen in zip(self._views, self._halves, strict=True)]
        return torch.stack(found).mean(0)

    def _called(self, view: DataView, sets: Tensor) -> Tensor:
        with blamed(self.how.function):
            given = torch.as_tensor(self.how.function(view, sets.clone()))
        if view._neurons is not None:
            self.columns_read |= view._neurons.read
        if given.shape != (len(sets),):
            raise InputError(
                f"{self.how.name} gave {list(given.shape)} for {len(sets)} sets", self.how.name,
                "give one number per row of sets: a tensor [R]",
            )  # fmt: skip
        return given.double()

    def leave_one_out(self) -> Tensor | None:
        """The function without each document in turn, by calling it again, [D, 1]; None where it reads none."""
        if self.weights_only:
            return None
        draws = self.identity("neurons")
        found = self.draws_without("neurons", draws, range(1), 0)
        return None if found is None else found[0]

    def draws_without(self, kind: Randomises, draws: Any, replicates: range, seed: int) -> Tensor | None:
        """The function of each draw's sets without each document, [R, D, 1]."""
        if kind != "neurons" or self.weights_only:
            return None
        images = self.images(draws)
        whole = [self._called(v, images[c or 0]) for v, c in zip(self._views, self._halves, strict=True)]
        out = torch.zeros(len(draws), self.data.n_units, 1, dtype=torch.float64)
        for document in range(self.data.n_units):
            values = list(whole)
            for place, chosen in enumerate(self._halves):
                half = None if chosen is None else 1 - chosen
                if half is None or self.data.half[document] == half:
                    view = DataView(self.data, half, document)
                    values[place] = self._called(view, images[chosen or 0])
            out[:, document, 0] = torch.stack(values).mean(0)
        return out

    def member_se(self) -> float | None:
        """Delete-one-neuron jackknife over the set's members (Arvesen 1969), [1].

        The spread of null sets is that of ordinary neurons; the members of a set under test may differ more.
        """
        union = torch.unique(torch.cat(self.sets))
        m = len(union)
        if m < 3 or min(len(s) for s in self.sets) < 3:
            return None
        whole = self.value((self.sets[0][None], self.sets[1][None]), range(1), 0)[0]
        theta = torch.empty(m, dtype=torch.float64)
        for place, member in enumerate(union):
            sets = [s[s != member][None] for s in self.sets]
            theta[place] = self.value((sets[0], sets[1]), range(1), 0)[0]
        theta = torch.where(theta.isfinite(), theta, whole)
        return float(((m - 1) / m * (theta - theta.mean()).square().sum()).sqrt())
