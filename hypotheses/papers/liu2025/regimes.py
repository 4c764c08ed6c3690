"""Claim 1 of Liu 2025 (arXiv 2509.04479): rare tokens need a regime of their own, beyond common tokens' power law."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence, Sensitivity
from ...result import Kind
from ...statistics.contrasts import InfluenceContrast, selectivity_of
from ...words import Words
from .statistics import regimes

shape = Hypothesis(
    id="regimes.shape",
    claim="Influence on {a} has a flat head that leaves the law of the other neurons.",
    criterion=Presence(
        margin=0.1,
        unit="log ranks",
        means="the head lies as far below the middle band's line as a tenth of a log rank",
    ),
    statistic=InfluenceContrast("shape", centred=True, contrast=regimes.shape, descriptives=regimes.described_shape),
    nulls=("influence_law",),
    words=Words(
        title="A flat top of the curve for {a}",
        asks="Do the most influential neurons for {a} lie on a plateau, below the power law of the next ones?",
        measured=(
            "Neurons are ranked by influence on {a} on one half of the documents and read off on the other. The "
            "estimate is how far the top of the curve lies under the straight line through its middle band, in units "
            "of that line's slope, less the same for curves drawn from smooth laws (lognormal, Weibull, power law). A "
            "positive finding means: not one of these three laws."
        ),
        plus="for {a} the influence of the top neurons levels off, as on a plateau",
        minus="for {a} the influence of the top neurons climbs ever faster, the opposite of a plateau",
        none="for {a} the influence of the top neurons follows a smooth law, without a plateau",
    ),
    figures=("curves",),
    source="Liu 2025, claim 1; docs/methods.md#regimes-shape. Supported reads: not a lognormal, Weibull or power law",
)

contrast = Hypothesis(
    id="regimes.contrast",
    claim="The head of the influence curve is flatter, against its power law, for {a} than for {b}.",
    criterion=Presence(
        margin=0.1,
        unit="log ranks",
        means="the head of {a} lies further below its line than that of {b}, by a tenth of a log rank",
    ),
    statistic=InfluenceContrast("contrast", contrast=regimes.contrast),
    nulls=("document_swaps", "neuron_swaps"),
    words=Words(
        title="A flatter top for {a} than for {b}",
        asks="Is the top of the influence curve flatter for {a} than for {b}?",
        measured=(
            "The bend of the curve for {a} less the bend for {b}, neurons ranked on one half of the documents and "
            "measured on the other."
        ),
        plus="the influence of the top neurons levels off more for {a} than for {b}",
        minus="the influence of the top neurons climbs faster for {a} than for {b}, the opposite of a plateau",
        none="the influence of the top neurons levels off no more for {a} than for {b}",
    ),
    figures=("curves",),
    source="Liu 2025, claim 1; docs/methods.md#regimes-contrast",
)

selectivity = Hypothesis(
    id="regimes.selectivity",
    claim="{A} have specialist neurons that {b} have not.",
    criterion=Presence(
        margin=0.05,
        unit="log ratio",
        means="the {set} neurons lean 5 % more to {a} than those chosen on {b} lean to {b}",
    ),
    statistic=InfluenceContrast(
        "selectivity",
        covariate_lean_stays=True,
        contrast=selectivity_of,
        descriptives=regimes.mixed_selectivity,
    ),
    nulls=("document_swaps", "neuron_swaps"),
    words=Words(
        title="Specialist neurons",
        asks="Do {a} have neurons that matter for them far more than for {b}?",
        measured=(
            "Mean log ratio of influence on {a} to {b} over the {set} neurons, plus the mirrored ratio over those "
            "chosen on {b}, so that ordinary differences between neurons cancel. Chosen on one half of the documents, "
            "measured on the other."
        ),
        plus="{a} have specialist neurons",
        minus="the {set} neurons work more for {b} than for {a}",
        none="{a} have no specialist neurons worth the name",
    ),
    figures=("curves",),
    source="Liu 2025, claim 1; docs/methods.md#regimes-selectivity",
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
