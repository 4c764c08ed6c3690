"""Token-frequency neurons (Stolfo et al. 2024, arXiv 2406.16254): what they do to the distribution."""

from __future__ import annotations

from ...hypothesis import Hypothesis
from ...inference.verdicts import Presence, Sensitivity
from ...result import Kind
from ...words import Words
from .entropy import NULLS
from .sets import ALIKE, TOKEN_FREQUENCY
from .statistics import EffectRatio, WeightColumn

unigram = Hypothesis(
    id="frequency.unigram",
    claim="{Set} neurons move the output towards or away from the unigram distribution more than other neurons with "
    "like activations.",
    criterion=Sensitivity(kind=Kind.PRESENCE, unit="log ratio"),
    statistic=EffectRatio("unigram_ratio", centred=True, above="unigram", below="loss", form="log"),
    nulls=NULLS,
    words=Words(
        title="Moving the output to or from token frequencies",
        asks="Do {set} neurons move predictions towards or away from how frequent tokens are, more than other "
        "neurons do?",
        measured=(
            "Log ratio of two absolute changes when a neuron is ablated, each summed over both {a} and {b}: that of "
            "the output's Kullback-Leibler divergence from the unigram distribution, and that of the loss; mean "
            "over the {set} neurons, less that of null sets of neurons with like activations; what a neuron's "
            "activations predict is taken off first. The neurons are chosen on one half of the documents and scored "
            "on the other. Neurons chosen for acting through token frequencies do this by construction, those of "
            "random weights too, so nothing rests on it."
        ),
        plus="the {set} neurons move the output to or from token frequencies more than neurons with like activations",
        minus="the {set} neurons move the output to or from token frequencies less than neurons with like activations",
        none="the {set} neurons move the output to or from token frequencies no more than other neurons",
    ),
    set=TOKEN_FREQUENCY,
    alike=ALIKE,
    source="Stolfo et al. 2024, abstract; docs/methods.md#frequency-unigram",
)

direction = Hypothesis(
    id="frequency.direction",
    claim="The output weights of {set} neurons lie more along the log frequencies of tokens than those of other "
    "neurons with like activations.",
    criterion=Presence(
        margin=0.05, unit="cosine", means="an absolute cosine with the log token frequencies that is .05 larger"
    ),
    statistic=WeightColumn("token_frequency_share", centred=True, column="token_frequency_share"),
    nulls=NULLS,
    words=Words(
        title="Output weights along token frequencies",
        asks="Do the output weights of {set} neurons raise or lower all tokens by how frequent they are?",
        measured=(
            "Mean absolute cosine between a neuron's direct effect on the logits and the centred log frequencies of "
            "tokens, over the {set} neurons, less that of null sets of neurons with like activations; what a "
            "neuron's activations predict is taken off first. The neurons are chosen by their effects on one half "
            "of the documents, not by weights."
        ),
        plus="the output weights of {set} neurons follow token frequencies more than those of other neurons",
        minus="the output weights of {set} neurons follow token frequencies less than those of other neurons",
        none="the output weights of {set} neurons follow token frequencies no more than those of other neurons",
    ),
    set=TOKEN_FREQUENCY,
    alike=ALIKE,
    source="Stolfo et al. 2024, abstract; docs/methods.md#frequency-direction",
)
