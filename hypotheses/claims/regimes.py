"""Claim 1 of Liu 2025 (arXiv 2509.04479): rare tokens need a regime of their own, beyond common tokens' power law."""

from __future__ import annotations

from ..hypothesis import Hypothesis
from ..inference.verdicts import Presence, Sensitivity
from ..result import Kind
from ..statistics import class_contrasts as contrasts
from ..statistics.class_contrasts import InfluenceContrast

shape = Hypothesis(
    id="regimes.shape",
    claim="Influence on rare tokens has a flat head that leaves the law of the other neurons.",
    criterion=Presence(
        margin=0.1,
        unit="log ranks",
        means="the head lies as far below the middle band's line as a tenth of a log rank",
    ),
    statistic=InfluenceContrast(
        "shape", centred=True, contrast=contrasts.shape, descriptives=contrasts.described_shape
    ),
    nulls=("influence_law",),
    source="Liu 2025, claim 1; METHODS 3. Supported reads: not a lognormal, Weibull or power law",
)

contrast = Hypothesis(
    id="regimes.contrast",
    claim="The head of the influence curve is flatter, against its power law, for rare than for common tokens.",
    criterion=Presence(
        margin=0.1,
        unit="log ranks",
        means="the head of rare lies further below its line than that of common, by a tenth of a log rank",
    ),
    statistic=InfluenceContrast("contrast", contrast=contrasts.contrast),
    nulls=("document_swaps", "neuron_swaps"),
    source="Liu 2025, claim 1; METHODS 3",
)

selectivity = Hypothesis(
    id="regimes.selectivity",
    claim="Rare tokens have specialist neurons that common tokens have not.",
    criterion=Presence(
        margin=0.05,
        unit="log ratio",
        means="the plateau of rare tokens leans 5 % more to rare than the plateau of common tokens does to common",
    ),
    statistic=InfluenceContrast(
        "selectivity",
        covariate_lean_stays=True,
        contrast=contrasts.selectivity,
        descriptives=contrasts.mixed_selectivity,
    ),
    nulls=("document_swaps", "neuron_swaps"),
    source="Liu 2025, claim 1; METHODS 3",
)

recruitment = Hypothesis(
    id="regimes.recruitment",
    claim="Rare tokens recruit a different number of neurons than common tokens.",
    criterion=Sensitivity(kind=Kind.PRESENCE, unit="log ratio", two_sided=True),
    statistic=InfluenceContrast("recruitment", contrast=contrasts.recruitment),
    nulls=("document_swaps",),
    source="METHODS 3",
)
