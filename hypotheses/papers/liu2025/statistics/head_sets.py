"""What attention heads do to the set and to the rest of its strata: per document, and per neuron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .....estimators import routing
from .....estimators.class_means import ClassSums
from ....prepared import PreparedData


@dataclass(frozen=True)
class HeadSets:
    """Effects of heads, or of groups of heads taken together, on the label-blind sets of one data.

    ``groups`` holds the rows of reachable heads that make each of the K groups.
    """

    data: PreparedData
    groups: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        self.data.check_measured(self.data.blind_set)

    def effect(self, group: int) -> Tensor:
        """Effect of a group of heads, added up over each unit's documents, float64 [U, 2, N]."""
        heads = [self.data.head_effect(h).double() for h in self.groups[group]]
        return torch.stack(heads).sum(0) if len(heads) > 1 else heads[0]

    @cached_property
    def means(self) -> Tensor:
        """Mean effect over each half's documents on every neuron, float64 [2 (half), 2 (class), K, N]."""
        data = self.data
        out = torch.empty(2, 2, len(self.groups), data.measurements.n_neurons, dtype=torch.float64)
        for k in range(len(self.groups)):
            effect = self.effect(k)
            for half in (0, 1):
                out[half, :, k] = effect[self._rows(half)].sum(0) / self._documents(half)
        return out

    @cached_property
    def sums(self) -> ClassSums:
        """Per unit the effect on the *other* half's set and on the rest of its strata; weight = documents."""
        data = self.data
        x = torch.zeros(data.n_units, 2, 2, len(self.groups), dtype=torch.float64)
        for k in range(len(self.groups)):
            effect = self.effect(k)
            for half in (0, 1):
                rows = self._rows(half)
                x[rows, ..., k] = effect[rows] @ self.weights(data.blind_set[1 - half])
        return ClassSums(x, torch.from_numpy(data.unit_sizes).double(), torch.from_numpy(data.half))

    def weights(self, members: Tensor) -> Tensor:
        """Weight of each neuron in the mean over a set [n], and in that over the rest of its strata, [N, 2]."""
        return torch.stack(routing.weights_of(members, self.data.strata), -1)

    def of_sets(self, images: tuple[Tensor, Tensor]) -> Tensor:
        """Means of drawn sets [R, n], chosen on half 0 and 1: [R, 2 (scored half), 2 (class), 2 (set, rest), K]."""
        out = []
        for half in (0, 1):
            mean = self.means[half]
            drawn = [mean @ self.weights(members) for members in images[1 - half]]  # each [2, K, 2]
            out.append(torch.stack(drawn).transpose(-1, -2))
        return torch.stack(out, 1)

    def variances(self) -> tuple[Tensor, Tensor]:
        """Variance of `routing.preference` that neurons make, and that of single cells of document and neuron, [K].

        To first order a neuron moves the log ratio of a half by its weight times its effect on rare over that of the
        set, less the same on common; what all of a set's neurons have in common cancels.
        """
        k = len(self.groups)
        of_neurons, cells = torch.zeros(k, self.means.shape[-1], dtype=torch.float64), torch.zeros(k).double()
        for half in (0, 1):
            members, rows = self.data.blind_set[1 - half], self._rows(half)
            weight = self.weights(members)  # [N, 2]
            level = (self.means[half] @ weight).clamp_min(routing.TINY)  # [2, K, 2]
            share = self.means[half][..., None] * weight / level[:, :, None]  # [2, K, N, 2]
            moved = share[0] - share[1]
            of_neurons += (moved[..., 0] - moved[..., 1]) / 2
            for g in range(k):
                effect, size = self.effect(g)[rows][..., members], torch.from_numpy(self.data.unit_sizes)[rows].double()
                own = effect - size[:, None, None] * self.means[half, :, g][:, members]
                own = own / (self._documents(half) * len(members) * level[:, g, 0, None])
                own = own - own.mean(-1, keepdim=True)  # what a document does to all of them alike is no cell's
                n = len(size)
                cells[g] += n / (n - 1) * ((own[:, 0] - own[:, 1]) ** 2).sum() / 4
        m = len(torch.unique(torch.cat(self.data.blind_set)))
        return m / (m - 1) * (of_neurons**2).sum(-1), cells

    def _rows(self, half: int) -> Tensor:
        return torch.from_numpy(self.data.half == half).nonzero()[:, 0]

    def _documents(self, half: int) -> int:
        return int(self.data.unit_sizes[self.data.half == half].sum())
