"""Who the neurons of the set under test are, for a reader who wants to see them; no verdict rests on any of it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..data.errors import MissingInput
from ..estimators.class_means import ClassSums
from .inference.intervals import t_interval
from .member_cards import HeadCard, Mean, Members, NeuronCard, PairCard, Snippet
from .nulls.base import generator
from .prepared import PreparedData

SHOWN = 12
"""Neurons that are shown; all of them stand in `neurons.parquet`."""

SPLITS = 20
"""Random divisions of the documents in which the set is chosen anew."""

CONTEXTS = 3
PROMOTED = 8
"""Tokens shown on each side; those that are a part of a character alone are left out."""

PAIRS = 10
HEADS = 5
BEFORE, AFTER = 16, 3
"""Tokens of a snippet on either side."""

LEVEL = 0.95


def members(data: PreparedData) -> Members:
    """Return the members of the set, those with the most influence one by one, examples of the positions, and heads.

    Raises
    ------
    MissingInput
        If what the set is chosen by was not measured.
    """
    first, second = data.set
    every = np.union1d(first.numpy(), second.numpy())
    shares = split_shares(data)
    influence = mean_influence(data)
    order = every if influence is None else every[np.argsort(-influence[0][0][every], kind="stable")]
    shown = order[:SHOWN].tolist()
    both = int(np.isin(first.numpy(), second.numpy()).sum())
    reader = _Reader(data)
    names = (data.conditions.a.name, data.conditions.b.name)
    cards = [
        NeuronCard(
            neuron=neuron,
            halves=[half for half, chosen in enumerate((first, second)) if neuron in chosen],
            splits=None if shares is None else float(shares[neuron]),
            influence={} if influence is None else {
                name: Mean(mean=float(mean[neuron]), low=_finite(mean[neuron] - reach[neuron]),
                           high=_finite(mean[neuron] + reach[neuron]))
                for name, mean, reach in zip(names, *influence, strict=True)
            },
            **reader.promoted(neuron),
            contexts=reader.contexts(neuron),
        )
        for neuron in shown
    ]  # fmt: skip
    return Members(
        set=data.neuron_set.name,
        size=len(every),
        both=both,
        splits=0 if shares is None else SPLITS,
        neurons=cards,
        pairs=reader.pairs(),
        heads=_heads(data, every, names),
    )


def mean_influence(data: PreparedData) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]] | None:
    """Mean influence of each neuron on either condition over all documents, and how far its 95 % interval reaches.

    Returns
    -------
    tuple or None
        Float64 [2, N] each, nats; t interval of the jackknife that leaves out a document (or cluster) at a time, with
        the degrees of freedom of the effective number of them. None where no influence was measured.
    """
    try:
        sums = data.influence_sums
    except MissingInput:
        return None
    x, weight = sums.x[..., 0], sums.weight
    total, pairs = x.sum(0), weight.sum()
    units = len(weight)
    square, mean = torch.zeros_like(total), torch.zeros_like(total)
    for row, w in zip(x, weight, strict=True):  # one unit at a time: [U, 2, N] twice is too much for a large model
        mean += (total - row) / (pairs - w) / units
    for row, w in zip(x, weight, strict=True):
        square += ((total - row) / (pairs - w) - mean).square()
    se = (square * (units - 1) / units).sqrt()
    reach = t_interval(0.0, 1.0, data.effective_units - 1, LEVEL).high
    return (total / pairs).numpy(), (se * reach).numpy()


def split_shares(data: PreparedData) -> npt.NDArray[np.float64] | None:
    """Share of the halves of `SPLITS` random divisions of the documents that choose each neuron, [N].

    None for a set that no half chooses. The divisions are the same in every run: nothing is decided here, so no seed
    is asked for.
    """
    if not data.neuron_set.cross_fitted:
        return None
    chosen = np.zeros(data.measurements.n_neurons)
    for number in range(SPLITS):
        of_unit = generator(0, number, "members").permutation(data.n_units) % 2
        for half in _divided(data, of_unit).set:
            chosen[half.numpy()] += 1
    return chosen / (2 * SPLITS)


def _divided(data: PreparedData, of_unit: npt.NDArray[np.int64]) -> PreparedData:
    """The data with its units in other halves; sums over documents do not hang on halves and are kept."""
    half = np.zeros(data.measurements.n_documents, dtype=np.int64)
    half[data.documents] = of_unit[data.unit]
    divided = data.split(half)
    if data.neuron_set.chosen_by == "influence":
        sums = data.influence_sums
        divided.shared["influence_sums"] = ClassSums(sums.x, sums.weight, torch.from_numpy(of_unit))
    return divided


class _Reader:
    """Reads documents and tokens as text, where the measurements hold their texts."""

    def __init__(self, data: PreparedData) -> None:
        self._data = data
        self._panel = data.panel
        tokens = data.measurements.tokens
        self._texts = {} if tokens is None else dict(zip(tokens["token"].tolist(), tokens["text"], strict=True))

    def promoted(self, neuron: int) -> dict[str, list[str]]:
        """The tokens that a neuron raises and lowers directly."""
        found = self._data.measurements.promoted
        if found is None:
            return {"raised": [], "lowered": []}
        both = {"raised": found.raised, "lowered": found.lowered}
        return {
            name: [text for token in tokens[neuron].tolist() if _whole(text := self._text(token))][:PROMOTED]
            for name, tokens in both.items()
        }

    def contexts(self, neuron: int) -> list[Snippet]:
        """Where a neuron is most active, one position a document."""
        activation = self._data.measurements.activation
        if activation is None or not self._texts:
            return []
        values = activation[:, neuron].numpy()
        found: dict[int, Snippet] = {}
        for row in np.argsort(-values, kind="stable"):
            document = int(self._panel.document[row])
            if document not in found:
                found[document] = self._snippet(document, int(self._panel.position[row]), float(values[row]))
            if len(found) == CONTEXTS:
                break
        return list(found.values())

    def pairs(self) -> list[PairCard]:
        """Matched pairs spread evenly over the documents; the token is the one that the conditions are about."""
        if not self._texts:
            return []
        panel = self._panel
        ahead = 1 if self._data.measurements.manifest.conditioning == "target" else 0

        def card(row: int) -> Snippet:
            return self._snippet(int(panel.document[row]), int(panel.position[row]) + ahead, float(panel.loss[row]))

        spread = np.unique(np.linspace(0, len(panel.a_rows) - 1, PAIRS).round().astype(np.int64))
        return [PairCard(a=card(panel.a_rows[i]), b=card(panel.b_rows[i])) for i in spread.tolist()]

    def _snippet(self, document: int, position: int, value: float) -> Snippet:
        ids = self._data.measurements.documents["input_ids"].iloc[document]
        before, after = ids[max(0, position - BEFORE) : position], ids[position + 1 : position + 1 + AFTER]
        return Snippet(
            document=document,
            position=position,
            before="".join(map(self._text, before)),
            token=self._text(ids[position]),
            after="".join(map(self._text, after)),
            value=value,
        )

    def _text(self, token: int) -> str:
        return str(self._texts.get(int(token), "\ufffd"))


def _heads(data: PreparedData, every: npt.NDArray[np.int64], names: tuple[str, str]) -> list[HeadCard]:
    """The heads that act most on the set."""
    try:
        measured, reachable = data.heads, data.reachable_heads
    except MissingInput:
        return []
    of_set = np.isin(measured.neuron.numpy(), every)
    documents, neurons = torch.from_numpy(data.documents), torch.from_numpy(np.flatnonzero(of_set))
    # one head at a time: those of all heads of a large model are tens of gigabytes
    means = [measured.effect[row][documents][..., neurons].double().mean((0, 2)) for row in reachable.tolist()]
    mean = torch.stack(means).numpy()
    most = np.argsort(-mean.mean(1), kind="stable")[:HEADS]
    return [
        HeadCard(
            layer=int(measured.layer[reachable[h]]),
            head=int(measured.head[reachable[h]]),
            effect=dict(zip(names, mean[h].tolist(), strict=True)),
        )
        for h in most
    ]


def _whole(text: str) -> bool:
    """Whether a token can be shown alone: no part of a character, no control character."""
    return "\ufffd" not in text and "".join(text.split()).isprintable()


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def members_if_any(data: PreparedData) -> Members | None:
    """`members`, or None where what the set is chosen by was not measured."""
    try:
        return members(data)
    except MissingInput:
        return None
