"""Tokens change places within documents: the text loses its order, and the model is measured again."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data.errors import MissingInput
from .base import NullModel, Observed, generator, need

IntArray = npt.NDArray[np.int64]
Remake = Callable[[list[IntArray]], Any]


@dataclass(frozen=True)
class CorpusState:
    """Token ids of each document, how many leading ones stay in place, and what measures the model on them."""

    documents: tuple[IntArray, ...]
    fixed: int
    remake: Remake


class ShuffledCorpus(NullModel):
    """Token ids permuted within documents, the model measured anew on each shuffled corpus.

    Token frequencies of every document stay, so seldom tokens stay as seldom; what made them predictable is gone.  Each
    draw is a whole measurement of the model: for a handful of replicates, not for 999.  A measurement directory alone
    cannot be remade; the caller gives `Observed.remake`.
    """

    name = "shuffled_corpus"
    randomises = "corpus"
    preserves = ("tokens of every document, and how often each occurs", "a leading token that all documents share")
    breaks = ("order of tokens", "context, and with it what the model can predict")
    exchangeable = "tokens within a document"
    reference = (
        "Khandelwal et al. (2018), ACL (shuffled context); Sinha et al. (2021), EMNLP (word order in pre-training)"
    )
    when = "Does an effect need text, or only token frequencies? Needs the model, and a measurement a draw."
    says = "The same tokens in random order."

    def prepare(self, measurements: Any, observed: Observed) -> CorpusState:
        """Documents and the way to measure them.

        Raises
        ------
        MissingInput
            If only measurements are at hand, and no model to measure again.
        """
        need(observed, "corpus", self.name)
        if observed.remake is None:
            raise MissingInput("shuffled_corpus must measure the model again, and no model is at hand",
                               "--measurements", "give the model instead, or choose another null")  # fmt: skip
        documents = tuple(np.asarray(d, dtype=np.int64) for d in observed.value)
        shared = len({int(d[0]) for d in documents if len(d)}) == 1 and len(documents) > 1
        return CorpusState(documents, int(shared), observed.remake)

    def draw(self, state: CorpusState, replicates: range, seed: int) -> Iterator[Any]:
        """What `remake` makes of the shuffled documents, one per replicate."""
        for r in replicates:
            rng = generator(seed, r, "shuffled")
            yield state.remake([np.r_[d[: state.fixed], rng.permutation(d[state.fixed :])] for d in state.documents])

    def example(self) -> Observed:
        """Two documents of a shared token and three others; measuring is taken for the token ids themselves."""
        documents = [np.array([9, 0, 1, 2]), np.array([9, 3, 4, 5])]
        return Observed("corpus", documents, remake=lambda shuffled: [d.copy() for d in shuffled])

    def space(self, observed: Observed) -> Sequence[Hashable]:
        """Every order of every document behind its first token."""
        orders = [permutations(d[1:].tolist()) for d in observed.value]
        firsts = [int(d[0]) for d in observed.value]
        return [
            tuple(t for first, order in zip(firsts, one, strict=True) for t in (first, *order))
            for one in product(*orders)
        ]

    def invariants(self, observed: Observed, draw: Any) -> Sequence[tuple[str, bool]]:
        """The same tokens in every document, the first in place."""
        pairs = list(zip(observed.value, draw, strict=True))
        tokens = all(np.array_equal(np.sort(a), np.sort(b)) for a, b in pairs)
        first = len({int(a[0]) for a, _ in pairs}) > 1 or all(a[0] == b[0] for a, b in pairs)
        return tuple(zip(self.preserves, (tokens, first), strict=True))

    def cost(self, state: CorpusState) -> float:
        """A forward pass over every token, in rough operations of a small model."""
        return 1e6 * sum(len(d) for d in state.documents)
