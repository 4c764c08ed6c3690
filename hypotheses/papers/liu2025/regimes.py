"""Claim 1 of Liu 2025 (arXiv 2509.04479): rare tokens need a regime of their own, beyond common tokens' power law."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence, Sensitivity
from ...result import Kind
from ...statistics.contrasts import InfluenceContrast
from ...words import Words
from .statistics import regimes

flatness = Hypothesis(
    id="regimes.flatness",
    claim="The head of the influence curve for {a} is flat against the law of the next neurons.",
    criterion=Presence(
        margin=0.5,
        unit="flatness",
        means="the top of the curve falls half as fast as the law of the next neurons would have it",
    ),
    statistic=InfluenceContrast(
        "flatness",
        centred=True,
        contrast=regimes.flatness_of(0),
        descriptives=regimes.described_shape,
        refuse=regimes.needs_a_law(0),
        doubt=regimes.no_law(0),
    ),
    nulls=("influence_law",),
    words=Words(
        title="A flat top of the curve for {a}",
        asks="Do the most influential neurons for {a} form a plateau, where the law of the next ones would climb?",
        measured=(
            "Neurons are ranked by influence on {a} on one half of the documents and read off on the other. Flatness "
            "is 1 less the slope of the top of the curve over the slope of its middle band: 1 is level, 0 is a law "
            "that goes on. From that the same is taken off for curves drawn from the smooth law that fits the other "
            "neurons best."
        ),
        plus="for {a} the influence of the top neurons levels off, as on a plateau",
        minus="for {a} the influence of the top neurons climbs ever faster, the opposite of a plateau",
        none="for {a} the influence of the top neurons follows a smooth law, without a plateau",
    ),
    figures=("curves",),
    source="Liu 2025, claim 1; docs/methods.md#regimes-flatness",
)

flatness_b = Hypothesis(
    id="regimes.flatness_b",
    claim="The head of the influence curve for {b} is flat against the law of the next neurons.",
    criterion=Sensitivity(kind=Kind.PRESENCE, unit="flatness"),
    statistic=InfluenceContrast(
        "flatness", centred=True, contrast=regimes.flatness_of(1), refuse=regimes.needs_a_law(1)
    ),
    nulls=("influence_law",),
    words=Words(
        title="A flat top of the curve for {b}",
        asks="Do the most influential neurons for {b} form a plateau too?",
        measured="The same for {b}. A plateau in both is no regime of {a} alone.",
        plus="for {b} too the influence of the top neurons levels off",
        minus="for {b} the influence of the top neurons climbs ever faster",
        none="for {b} the influence of the top neurons follows a smooth law",
    ),
    figures=("curves",),
    source="Liu 2025, claim 1; docs/methods.md#regimes-flatness",
)

contrast = Hypothesis(
    id="regimes.contrast",
    claim="The head of the influence curve is flatter, against its law, for {a} than for {b}.",
    criterion=Presence(
        margin=0.5,
        unit="flatness",
        means="the top of the curve keeps a half more of its middle band's slope for {b} than for {a}",
    ),
    statistic=InfluenceContrast(
        "flatness_contrast", contrast=regimes.contrast, two_sources=True, refuse=regimes.needs_a_law(0, 1)
    ),
    nulls=("document_swaps", "neuron_swaps"),
    words=Words(
        title="A flatter top for {a} than for {b}",
        asks="Is the top of the influence curve flatter for {a} than for {b}?",
        measured=(
            "Flatness of the curve for {a} less that of the curve for {b}, neurons ranked on one half of the documents "
            "and measured on the other."
        ),
        plus="the influence of the top neurons levels off more for {a} than for {b}",
        minus="the influence of the top neurons climbs faster for {a} than for {b}, the opposite of a plateau",
        none="the influence of the top neurons levels off no more for {a} than for {b}",
    ),
    figures=("curves",),
    source="Liu 2025, claim 1; docs/methods.md#regimes-contrast",
)

shape = Hypothesis(
    id="regimes.shape",
    claim="The head of the influence curve for {a} lies on the line of its middle band.",
    criterion=Sensitivity(kind=Kind.PRESENCE, unit="log ranks", two_sided=True),
    statistic=InfluenceContrast("shape", centred=True, contrast=regimes.shape),
    nulls=("influence_law",),
    words=Words(
        title="Departure of the head for {a}",
        asks="Does the top of the curve for {a} lie below (+) or above (-) the straight line through its middle band?",
        measured=(
            "How far the top of the curve lies under the line through its middle band, in units of that line's slope, "
            "less the same for curves drawn from a smooth law that fits."
        ),
        plus="for {a} the top neurons lie below the line of the next ones",
        minus="for {a} the top neurons lie above the line of the next ones",
        none="for {a} the top neurons lie on the line of the next ones",
    ),
    figures=("curves",),
    source="docs/methods.md#regimes-shape",
)

recruitment = Hypothesis(
    id="regimes.recruitment",
    claim="{A} recruit a different number of neurons than {b}.",
    criterion=Sensitivity(kind=Kind.PRESENCE, unit="log ratio", two_sided=True),
    statistic=InfluenceContrast("recruitment", of_all_neurons=True, contrast=regimes.recruitment),
    nulls=("document_swaps",),
    words=Words(
        title="Number of neurons recruited",
        asks="Is the work spread over more neurons for {a} than for {b}?",
        measured=(
            "Log ratio of the effective number of neurons (exponential of the entropy of influence), {a} to {b}."
        ),
        plus="{a} use more neurons than {b}",
        minus="{a} use fewer neurons than {b}",
        none="{a} and {b} use equally many neurons",
    ),
    figures=("curves",),
    source="docs/methods.md#regimes-recruitment",
)
