"""Plain words for what the suite tests: hypotheses, null models, claims, limits, glossary.

A hypothesis or null model from a plug-in has no entry here; the report then falls back on the finding's own words.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..hypotheses.result import Verdict


@dataclass(frozen=True)
class HypothesisWords:
    """What a reader is told of one hypothesis.

    Attributes
    ----------
    title
        A few words for headings and tables.
    asks
        The question, without jargon.
    measured
        How the estimate comes about.
    plus, minus
        What a positive and a negative estimate mean.
    """

    title: str
    asks: str
    measured: str
    plus: str = "the effect is there"
    minus: str = "the opposite"


HYPOTHESES: dict[str, HypothesisWords] = {
    "regimes.shape": HypothesisWords(
        "Flat head in the rare curve",
        "Do the most influential neurons for rare tokens leave the power law that the neurons below them follow?",
        "Neurons are ranked by influence on rare tokens on one half of the documents and read off on the other. The "
        "estimate is how "
        "far the top of the curve lies under the straight line through its middle band, in units of that line's "
        "slope, less "
        "the same for curves drawn from smooth laws (lognormal, Weibull, power law).",
        "the top is flatter than a power law",
        "the top stands above its power law",
    ),
    "regimes.contrast": HypothesisWords(
        "A different bend for rare and common",
        "Does the top of the influence curve bend differently for rare tokens than for common ones?",
        "The bend of the curve for rare tokens less the bend for common tokens, ranked on one half of the documents "
        "and measured on the other.",
        "the rare curve's top is flatter than the common one's",
        "the rare curve's top stands higher above its own line than the common one's",
    ),
    "regimes.selectivity": HypothesisWords(
        "Specialist neurons",
        "Do rare tokens have neurons that matter for them far more than for common tokens?",
        "Mean log ratio of influence on rare to common tokens over the rare plateau, plus the same over the plateau "
        "chosen on "
        "common tokens, so that ordinary differences between neurons cancel. Chosen on one half, measured on the "
        "other.",
        "the plateau works more for rare tokens",
        "the plateau works more for common tokens",
    ),
    "regimes.recruitment": HypothesisWords(
        "Number of neurons recruited",
        "Is the work spread over more neurons for rare tokens than for common ones?",
        "Log ratio of the effective number of neurons (exponential of the entropy of influence), rare to common.",
        "rare tokens use more neurons",
        "rare tokens use fewer neurons",
    ),
    "clusters.within": HypothesisWords(
        "Modules inside the plateau",
        "Do the plateau neurons fall into groups that fire together, more than ordinary neurons do?",
        "Groups are found on one half of the documents and scored on the other: mean correlation inside the groups "
        "less that "
        "between them. From that the same is taken off for sets of ordinary neurons matched on activity and weights.",
        "the plateau is more modular than ordinary neurons",
        "the plateau is less modular than ordinary neurons",
    ),
    "clusters.rewired": HypothesisWords(
        "Modules beyond the degrees",
        "Is the plateau's co-activation graph more modular than its degrees imply, compared with ordinary sets?",
        "Modularity of the graph less that of its rewired twins, ranked among the same excess of matched sets.",
        "more modular than ordinary sets",
        "less modular than ordinary sets",
    ),
    "clusters.cohesion": HypothesisWords(
        "The plateau as one module",
        "Do the plateau neurons fire together as one group within the layer?",
        "Mean correlation inside the plateau less that with its matched neighbours, after the layer's common mode is "
        "removed; "
        "less the same for matched sets.",
        "the plateau holds together",
        "the plateau is looser than ordinary sets",
    ),
    "clusters.weights": HypothesisWords(
        "Clusters in weight space",
        "Do the plateau neurons read from and write to similar directions?",
        "Mean cosine between their input weights and between their output weights, less the same for matched sets.",
        "weights are more alike than those of ordinary sets",
        "weights are less alike than those of ordinary sets",
    ),
    "clusters.index": HypothesisWords(
        "Neighbouring indices",
        "Do the plateau neurons sit next to each other in the layer's numbering?",
        "Log ratio of the expected to the mean gap to the nearest plateau neuron.",
        "closer than chance",
        "farther apart than chance",
    ),
    "routing.heads": HypothesisWords(
        "Heads that favour the plateau",
        "Does any attention head act more on the plateau for rare tokens than it acts on ordinary neurons?",
        "For each head that can reach the layer, a ratio of ratios: its effect on the plateau, rare to common, over "
        "its effect "
        "on matched neurons, rare to common (log; log 1.25 is a quarter more). The verdict looks at every head at "
        "once.",
        "the head favours the plateau for rare tokens",
        "the head favours it for common tokens",
    ),
    "routing.concentration": HypothesisWords(
        "Concentration over heads",
        "Do fewer heads drive the plateau than drive ordinary neurons?",
        "Gini coefficient of head effects on the plateau less that of matched sets.",
        "head effects are more concentrated",
        "head effects are more even",
    ),
    "routing.profile": HypothesisWords(
        "Same heads for rare and common",
        "Do different heads drive the plateau for rare tokens than for common ones?",
        "One minus the correlation of the heads' effect profiles for rare and common tokens, corrected for noise "
        "between the two halves.",
        "the profiles differ",
        "the profiles agree better than noise allows",
    ),
    "routing.closure": HypothesisWords(
        "Removing the plateau's top heads",
        "Does removing the heads that drive the plateau most hurt rare tokens more than common ones?",
        "Log ratio of loss increase, rare to common, less that of heads with the same total effect.",
        "rare tokens suffer more",
        "common tokens suffer more",
    ),
    "specialists.closure": HypothesisWords(
        "Removing the whole plateau",
        "Does removing the whole plateau at once hurt rare tokens more than removing matched sets does?",
        "Log ratio of joint loss increase, rare to common, for the two plateaus mirrored, against matched sets.",
        "rare tokens suffer more",
        "common tokens suffer more",
    ),
    "coordination.dimension": HypothesisWords(
        "Fewer effective dimensions",
        "Do the plateau neurons move together in fewer dimensions than ordinary neurons?",
        "Log ratio of the participation ratio of matched sets to that of the plateau, across the two halves.",
        "the plateau has fewer dimensions",
        "the plateau has more dimensions",
    ),
    "tails.weights": HypothesisWords(
        "Heavier-tailed weights",
        "Do the plateau's weights have a heavier-tailed spectrum than those of matched sets?",
        "Hill exponent of matched sets less that of the plateau.",
        "heavier tails",
        "lighter tails",
    ),
    "emergence.trend": HypothesisWords(
        "Growth over training",
        "Does specialisation grow over training?",
        "Slope of selectivity over the logarithm of the training step, in this one training run.",
        "specialisation grows",
        "specialisation shrinks",
    ),
    "control.random_init": HypothesisWords(
        "Untrained twin",
        "Does the suite find anything in the same model with random weights?",
        "The suite on the re-initialised model; it should find nothing.",
    ),
    "control.permuted_labels": HypothesisWords(
        "Shuffled labels",
        "Does the suite find anything when rare and common are shuffled?",
        "Rare and common are exchanged at random; nothing should be found.",
    ),
    "control.unreachable_heads": HypothesisWords(
        "Unreachable heads",
        "Do heads that cannot reach the layer have no effect?",
        "Their measured effect must be exactly zero.",
    ),
    "control.whole_layer": HypothesisWords(
        "Whole attention layer",
        "Does removing all heads of a layer have a large effect?",
        "If it had none, the measurement would be blind.",
    ),
}

NULLS: dict[str, str] = {
    "matched_sets": "Sets of ordinary neurons with the same activity and weight statistics as the plateau. This is "
    "the question the claim asks.",
    "random_sets": "Sets of neurons drawn from the whole layer, matched on nothing.",
    "head_sets": "Sets of heads with the same total effect.",
    "label_swaps": "Rare and common change places pair by pair. Tests only the sharp null that no document matters.",
    "document_swaps": "Rare and common change places for whole documents.",
    "neuron_swaps": "A neuron's influence on rare and on common tokens change places, neuron by neuron.",
    "document_permuted": "Documents are shuffled per neuron: is there any coupling at all?",
    "circular_shift": "Each neuron's activations are rotated in time.",
    "hqs": "Random covariance matrices with the same mean and variance (Hirschberger, Qi, Steuer).",
    "correlation_cm": "Configuration model for correlation matrices (Masuda, Kojaku, Sano 2018).",
    "random_matrix": "Random-matrix spectrum with the global mode removed (MacMahon, Garlaschelli 2015).",
    "rewired": "Edges are rewired with degrees kept (Maslov, Sneppen 2002). A weak null here: see the note.",
    "signed_rewired": "Edges are rewired with degrees and signs kept. A weak null here: see the note.",
    "erdos_renyi": "Edges at random with the same density. A weak null here: see the note.",
    "influence_law": "Influence drawn anew from the smooth law that fits best, with the measured noise.",
    "random_init": "The same architecture with random weights.",
    "shuffled_corpus": "The same tokens in random order.",
}

EDGE_NULLS = frozenset({"rewired", "signed_rewired", "erdos_renyi"})

REWIRING_NOTE = (
    "Rewiring is a weak null for correlation graphs. It treats edges as independent, but a correlation matrix is "
    "transitive by "
    "construction: if A goes with B and B with C, then A goes with C. Graphs without any modules therefore look "
    "modular against "
    "it, so its p-value stands here for comparison with the literature and decides nothing."
)

VERDICT_MARKS: dict[Verdict, str] = {
    Verdict.SUPPORTED: "\u2713",
    Verdict.REFUTED: "\u2717",
    Verdict.UNDETERMINED: "?",
    Verdict.NOT_RUN: "\u2013",
}

VERDICT_MEANS: dict[Verdict, str] = {
    Verdict.SUPPORTED: "the evidence is strong enough, by a rule fixed beforehand, to say that the claim holds here",
    Verdict.REFUTED: "the evidence is strong enough to say that the claim does not hold here",
    Verdict.UNDETERMINED: "the data fit both answers; this is a finding about the size of the study, not a no",
    Verdict.NOT_RUN: "not measured in this run",
}

HEADLINES: dict[int, dict[Verdict, str]] = {
    1: {
        Verdict.SUPPORTED: "For rare words this model does lean on a small group of neurons in a way it does not for "
        "common words.",
        Verdict.REFUTED: "The claim that rare words get extra neurons of their own fails here: at least one thing it "
        "predicts is not there.",
        Verdict.UNDETERMINED: "This run cannot tell whether rare words get extra neurons of their own.",
        Verdict.NOT_RUN: "Whether rare words get extra neurons of their own was not measured.",
    },
    2: {
        Verdict.SUPPORTED: "The neurons that matter most for rare words form no clusters of any size that would "
        "matter.",
        Verdict.REFUTED: "The neurons that matter most for rare words do cluster, against the claim.",
        Verdict.UNDETERMINED: "This run cannot tell whether the neurons that matter most for rare words form clusters.",
        Verdict.NOT_RUN: "Whether the neurons that matter most for rare words form clusters was not measured.",
    },
    3: {
        Verdict.SUPPORTED: "No attention head favours those neurons for rare words by an amount that would matter.",
        Verdict.REFUTED: "Attention does favour those neurons for rare words, against the claim.",
        Verdict.UNDETERMINED: "This run cannot tell whether attention favours those neurons for rare words.",
        Verdict.NOT_RUN: "Whether attention favours those neurons for rare words was not measured.",
    },
}

LIMITS: tuple[tuple[str, str], ...] = (
    (
        "One model, one corpus",
        "Everything here is about this layer of this model on this text. It says nothing about other models.",
    ),
    (
        "Absence is never proved outright",
        "A claim that something is absent is supported only in the sense that anything larger than the stated margin "
        "is excluded. "
        "A plain failure to find an effect supports nothing.",
    ),
    (
        "The rule is not symmetrical",
        "A claim of absence is refuted only when the effect lies beyond the margin. An effect that is real but "
        "smaller than the margin leaves the claim standing.",
    ),
    (
        "Margins are choices",
        "They were set before the data were seen, but a reader with another margin can reach another verdict. Each "
        "finding prints "
        "the smallest margin this design could have supported, so that the verdict can be read again.",
    ),
    (
        "Ablation is not the only meaning of influence",
        "Influence is the change in loss when one neuron is set to its mean. Other interventions can rank neurons "
        "otherwise.",
    ),
)

COMPARE_LIMITS: tuple[tuple[str, str], ...] = (
    (
        "Agreement is not proof",
        "Models that share text, tokenizer or makers can agree for that reason.",
    ),
    (
        "Different verdicts need not disagree",
        "One run can be undetermined because it is small. Compare the intervals, not the words.",
    ),
    *LIMITS[1:],
)

EMBEDDED_LIMIT = (
    "A very small model",
    "The embedded models have about four million parameters and were trained on Python documentation. They serve to "
    "show "
    "the method and to try it without a network; their verdicts say nothing about GPT-2 XL or Pythia, which the "
    "paper studied.",
)

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("Token", "A word or a piece of a word: the unit in which a model reads."),
    ("Neuron", "One hidden unit of a feed-forward (MLP) layer."),
    (
        "Rare, common",
        "Tokens beyond and within a frequency rank in the model's training text; the rank is given under set-up.",
    ),
    (
        "Influence",
        "How much the model's loss on a token changes, in nats, when one neuron is replaced by its mean (mean "
        "ablation).",
    ),
    (
        "Plateau",
        "The small set of neurons with the most influence on rare tokens, chosen on one half of the documents.",
    ),
    (
        "Null model",
        "A way to make data in which the effect is absent and all else is kept, to see what chance alone would give.",
    ),
    (
        "Matched sets",
        "Sets of ordinary neurons that resemble the plateau in activity and weights; what the plateau is compared "
        "with.",
    ),
    (
        "Verdict interval",
        "The range of effects that the data leave possible, at the level the verdict uses (one minus twice alpha).",
    ),
    ("95 % interval", "The range for the effect at the selected neurons, over documents alone."),
    ("Margin", "The smallest effect that would matter, fixed before the data were seen. In figures, the shaded band."),
    ("p", "How often the null model gives an effect at least as large as the one observed."),
    ("Adjusted p", "The same after correction for the number of tests in the family (Holm, or maxT over heads)."),
    (
        "q",
        "Expected share of false discoveries if this and all smaller p-values are called discoveries "
        "(Benjamini-Hochberg).",
    ),
    ("Equivalence p", "The smallest error rate at which the data exclude an effect as large as the margin."),
    ("Smallest detectable effect", "The effect this design would have decided on in four runs out of five."),
    (
        "Smallest supportable margin",
        "The smallest margin for which this design could have shown absence in four runs out of five.",
    ),
    ("B", "Number of draws from the null model. The p-value can be no smaller than 1 / (1 + B)."),
    ("Nat, log ratio", "Natural-logarithm units; a log ratio of .22 is a factor of 1.25."),
    ("Modularity Q", "How much denser a graph is inside its communities than its degrees would lead one to expect."),
    (
        "Audit",
        "A sample of influences computed a second time by the slow, direct way; the largest difference is given.",
    ),
)

VERDICT_RULES: tuple[str, ...] = (
    "A claim that something is there is refuted if its whole verdict interval lies below the margin (for an effect "
    "in either "
    "direction: within plus and minus the margin), else supported if the adjusted p is below alpha, else undetermined.",
    "A claim that something is absent is supported if its whole verdict interval lies below the margin (for "
    "attention: the interval "
    "of every head that can reach the layer), else refuted if the adjusted p is below alpha and the interval does "
    "not reach below "
    "the margin, else undetermined.",
    "One of the paper's claims is supported if all tests that decide it are, refuted if any of them is, else "
    "undetermined.",
)

PAPER = "Liu (2025), No Clustering, No Routing: How Transformers Actually Process Rare Tokens"
CLAIMED = (
    "Liu (2025) claims that language models give rare words a small set of neurons of their own, that these neurons "
    "do not form "
    "clusters, and that attention does not steer to them. The last two say that something is absent, which a plain "
    "failure to "
    "find it cannot show; here each claim is tested against null models, with margins fixed beforehand."
)
PAPER_SHORT = "Liu (2025), \u201cNo Clustering, No Routing\u201d"

GRAPH_CAPTION = (
    "Co-activation of the plateau beside its twins, all drawn by one rule: the strongest edges, three for each "
    "neuron, placed by a "
    "spring layout that knows nothing of the communities. Colour and shape: community. Below, every pair, ordered by "
    "community and "
    "framed, on one colour scale (orange: active together; blue: one without the other). A finder of communities "
    "finds some in random "
    "graphs too, so compare the panels with each other. The modularity Q is shown and decides nothing."
)

UNIT_SHORT = {"correlation": "r", "log ratio": "log", "Fisher z": "z", "cosine": "cos"}


def title_of(hypothesis: str) -> str:
    """Short title; the id itself where the report knows none."""
    known = HYPOTHESES.get(hypothesis)
    return known.title if known else hypothesis


def null_words(null: str | None) -> str:
    """What a null model (or several joined by ``+``) puts at random; empty where unknown."""
    parts = (null or "").split("+")
    if len(parts) > 1:
        return "Each of these in turn; the larger p counts."
    return NULLS.get(parts[0], "")
