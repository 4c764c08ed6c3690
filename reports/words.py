"""Plain words for each hypothesis and null model of the suite.

A hypothesis or null model from a plug-in has no entry here; the report then falls back on the finding's own words.
"""

from __future__ import annotations

from dataclasses import dataclass


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
        What a positive and a negative effect mean, as clauses.
    none
        The clause for an effect that was excluded, up to the margin.
    """

    title: str
    asks: str
    measured: str
    plus: str = "the effect is there"
    minus: str = "the effect goes the other way"
    none: str = "there is no effect of that size"

    @property
    def whether(self) -> str:
        """The question as a clause behind "cannot tell"."""
        return f"whether {self.plus}"


HYPOTHESES: dict[str, HypothesisWords] = {
    "regimes.shape": HypothesisWords(
        title="A flat top of the rare curve",
        asks="Do the most influential neurons for rare tokens lie on a plateau, below the power law of the next ones?",
        measured="Neurons are ranked by influence on rare tokens on one half of the documents and read off on the "
        "other. "
        "The estimate is how far the top of the curve lies under the straight line through its middle band, in units "
        "of "
        "that line's slope, less the same for curves drawn from smooth laws (lognormal, Weibull, power law). A "
        "positive "
        "finding means: not one of these three laws.",
        plus="for rare tokens the influence of the top neurons levels off, as on a plateau",
        minus="for rare tokens the influence of the top neurons climbs ever faster, the opposite of a plateau",
        none="for rare tokens the influence of the top neurons follows a smooth law, without a plateau",
    ),
    "regimes.contrast": HypothesisWords(
        title="A flatter top for rare than for common",
        asks="Is the top of the influence curve flatter for rare tokens than for common ones?",
        measured="The bend of the curve for rare tokens less the bend for common tokens, neurons ranked on one half of "
        "the documents and measured on the other.",
        plus="the influence of the top neurons levels off more for rare tokens than for common ones",
        minus="the influence of the top neurons climbs faster for rare tokens than for common ones, the opposite of a "
        "plateau",
        none="the influence of the top neurons levels off no more for rare tokens than for common ones",
    ),
    "regimes.selectivity": HypothesisWords(
        title="Specialist neurons",
        asks="Do rare tokens have neurons that matter for them far more than for common tokens?",
        measured="Mean log ratio of influence on rare to common tokens over the rare plateau, plus the mirrored ratio "
        "over the plateau chosen on common tokens, so that ordinary differences between neurons cancel. Chosen on one "
        "half of the documents, measured on the other.",
        plus="rare tokens have specialist neurons",
        minus="the plateau works more for common tokens than for rare ones",
        none="rare tokens have no specialist neurons worth the name",
    ),
    "regimes.recruitment": HypothesisWords(
        title="Number of neurons recruited",
        asks="Is the work spread over more neurons for rare tokens than for common ones?",
        measured="Log ratio of the effective number of neurons (exponential of the entropy of influence), rare to "
        "common.",
        plus="rare tokens use more neurons than common ones",
        minus="rare tokens use fewer neurons than common ones",
        none="rare and common tokens use equally many neurons",
    ),
    "clusters.within": HypothesisWords(
        title="Modules inside the plateau",
        asks="Do the plateau neurons fall into groups that fire together, more than ordinary neurons do?",
        measured="Groups are found on one half of the documents and scored on the other: mean correlation inside the "
        "groups less that between them. From that the same is taken off for sets of ordinary neurons matched on "
        "activity and weights.",
        plus="the plateau neurons fall into modules more than ordinary neurons do",
        minus="the plateau neurons are less modular than ordinary neurons",
        none="the plateau neurons form no more modules than ordinary neurons do",
    ),
    "clusters.rewired": HypothesisWords(
        title="Modules beyond the degrees",
        asks="Is the plateau's co-activation graph more modular than its degrees imply, compared with ordinary sets?",
        measured="Modularity of the graph less that of its rewired twins, ranked among the same excess of matched "
        "sets.",
        plus="the plateau's graph is more modular than those of ordinary sets",
        minus="the plateau's graph is less modular than those of ordinary sets",
        none="the plateau's graph is as modular as those of ordinary sets",
    ),
    "clusters.cohesion": HypothesisWords(
        title="The plateau as one module",
        asks="Do the plateau neurons fire together as one group within the layer?",
        measured="Mean correlation inside the plateau less that with its matched neighbours, after the layer's common "
        "mode is removed; less the same for matched sets.",
        plus="the plateau neurons fire together as one group",
        minus="the plateau neurons hold together less than ordinary sets do",
        none="the plateau neurons hold together no more than ordinary sets do",
    ),
    "clusters.weights": HypothesisWords(
        title="Clusters in weight space",
        asks="Do the plateau neurons read from and write to similar directions?",
        measured="Mean cosine between their input weights and between their output weights, less the same for matched "
        "sets. This needs no text at all.",
        plus="the plateau neurons' weights are more alike than those of ordinary neurons",
        minus="the plateau neurons' weights are less alike than those of ordinary neurons",
        none="the plateau neurons' weights are no more alike than those of ordinary neurons",
    ),
    "clusters.index": HypothesisWords(
        title="Neighbouring indices",
        asks="Do the plateau neurons sit next to each other in the layer's numbering?",
        measured="Log ratio of the expected to the mean gap to the nearest plateau neuron.",
        plus="the plateau neurons sit closer together than chance would put them",
        minus="the plateau neurons sit farther apart than chance would put them",
        none="the plateau neurons sit where chance would put them",
    ),
    "routing.heads": HypothesisWords(
        title="Heads that favour the plateau",
        asks="Does any attention head act more on the plateau for rare tokens than it acts on ordinary neurons?",
        measured="For each head that can reach the layer, a ratio of ratios: its effect on the plateau, rare to "
        "common, "
        "over its effect on matched neurons, rare to common (log; log 1.25 is a quarter more). The verdict looks at "
        "every head at once, those that act less than a tenth as much as the mean head taken together; the row tells "
        "the head that decides.",
        plus="an attention head favours the plateau for rare tokens",
        minus="an attention head favours the plateau for common tokens",
        none="no attention head favours the plateau for rare tokens",
    ),
    "routing.concentration": HypothesisWords(
        title="Concentration over heads",
        asks="Do fewer heads drive the plateau than drive ordinary neurons?",
        measured="Gini coefficient of head effects on the plateau less that on null sets without its own neurons; p "
        "ranks whole sets.",
        plus="fewer heads drive the plateau than drive ordinary neurons",
        minus="more heads drive the plateau than drive ordinary neurons",
        none="the plateau is driven by as many heads as ordinary neurons are",
    ),
    "routing.profile": HypothesisWords(
        title="Same heads for rare and common",
        asks="Do different heads drive the plateau for rare tokens than for common ones?",
        measured="One minus the correlation of the heads' effect profiles for rare and common tokens, corrected for "
        "the "
        "noise between the two halves.",
        plus="different heads drive the plateau for rare tokens than for common ones",
        minus="the two profiles agree better than noise allows",
        none="the same heads drive the plateau for rare and for common tokens",
    ),
    "routing.closure": HypothesisWords(
        title="Removing the plateau's top heads",
        asks="Does removing the heads that drive the plateau most hurt rare tokens more than common ones?",
        measured="Log ratio of the loss increase when the heads that act most on the plateau are removed together, "
        "rare to common, less that of sets of heads with the same total effect on the layer.",
        plus="removing the plateau's top heads hurts rare tokens more",
        minus="removing the plateau's top heads hurts common tokens more",
        none="removing the plateau's top heads hurts rare tokens no more than removing other heads",
    ),
    "specialists.closure": HypothesisWords(
        title="Removing the whole plateau",
        asks="Does removing the whole plateau at once hurt rare tokens more than removing matched sets does?",
        measured="Loss increase when a plateau is removed as a whole, in units of what its neurons' single influences "
        "add up to, on rare tokens less that on common ones; over the rare plateau plus the mirrored one of common "
        "tokens, less the same for matched sets. A loss may fall as well as rise, so this is a difference, no ratio.",
        plus="removing the plateau hurts rare tokens more than removing ordinary sets",
        minus="removing the plateau hurts common tokens more",
        none="removing the plateau hurts rare tokens no more than removing ordinary sets",
    ),
    "coordination.dimension": HypothesisWords(
        title="Fewer effective dimensions",
        asks="Do the plateau neurons move together in fewer dimensions than ordinary neurons?",
        measured="Log ratio of the participation ratio of matched sets to that of the plateau, across the two halves.",
        plus="the plateau neurons move in fewer dimensions than ordinary neurons",
        minus="the plateau neurons move in more dimensions than ordinary neurons",
        none="the plateau neurons move in as many dimensions as ordinary neurons",
    ),
    "tails.weights": HypothesisWords(
        title="Heavier-tailed weights",
        asks="Do the plateau's weights have a heavier-tailed spectrum than those of matched sets?",
        measured="Hill exponent of the spectrum of matched sets less that of the plateau.",
        plus="the plateau's weights have heavier tails than those of ordinary neurons",
        minus="the plateau's weights have lighter tails than those of ordinary neurons",
        none="the plateau's weights have no heavier tails than those of ordinary neurons",
    ),
    "emergence.trend": HypothesisWords(
        title="Growth over training",
        asks="Does specialisation grow over training?",
        measured="At each checkpoint of this one training run: the mean log ratio of influence on rare to common "
        "tokens over "
        "the rare plateau, plus the mirrored ratio over the common plateau, chosen on one half of the documents and "
        "measured on the other, at positions of like loss. The estimate is the slope of that over the logarithm of the "
        "training step. Step 0, the untrained model, has no logarithm; it is shown beside it. Another training run, "
        "from another seed, may differ.",
        plus="specialisation grows over this training run",
        minus="specialisation shrinks over this training run",
        none="specialisation does not grow over this training run",
    ),
    "control.random_init": HypothesisWords(
        "Untrained twin",
        "Is anything found in the same model with random weights?",
        "The suite on the untrained model.",
    ),
    "control.permuted_labels": HypothesisWords(
        "Shuffled labels", "Is anything found when rare and common are shuffled?", "Rare and common change places."
    ),
    "control.unreachable_heads": HypothesisWords(
        "Unreachable heads", "Do heads that cannot reach the layer have no effect?", "It must be exactly zero."
    ),
    "control.whole_layer": HypothesisWords(
        "Whole attention layers", "Does removing all heads of a layer have a large effect?", "Else nothing can be seen."
    ),
}

NULLS: dict[str, str] = {
    "reselected_sets": "Sets chosen as the plateau was, after shuffling the part of each neuron's influence that its "
    "activity and weight statistics do not predict.",
    "matched_sets": "Sets of ordinary neurons with much the same activity and weight statistics as the plateau.",
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

DIAGNOSTICS: dict[str, str] = {
    "strata": "groups of neurons that are alike",
    "smallest": "neurons in the smallest group",
    "largest": "neurons in the largest group",
    "distinct_sets": "distinct sets of heads there are",
    "r_squared": "share of the scatter of log influence that activity and weight statistics predict",
    "overlap": "share of a null set that belongs to the plateau",
    "movable_share": "share of the positions that can move",
    "t_eff": "positions in each half, counted as if they were independent",
    "mean": "mean correlation in the data",
    "shared_variance": "variance of the correlations that both halves share, in the data",
    "drawn_mean": "mean correlation in the draws",
    "drawn_variance": "variance of the correlations in the draws",
    "drawn_shared_variance": "variance of the correlations that both halves share, in the draws",
    "mode_mean_correlation": "mean correlation that the layer's common mode makes",
    "strength": "summed correlation of each neuron in the data",
    "largest_difference": "largest difference of that sum between data and draws",
    "edges": "edges",
    "tries_per_edge": "switches tried an edge",
    "accepted_share": "share of the switches that were made",
    "edges_left": "share of the original edges left as it goes on (level at the end if mixed)",
}
"""Diagnostics of the null models that ship; a foreign one's go by their own names."""

EDGE_NULLS = frozenset({"rewired", "signed_rewired", "erdos_renyi"})

REWIRING_NOTE = (
    "Rewiring is a weak null for correlation graphs. It treats edges as independent, but a correlation matrix is "
    "transitive by construction: if A goes with B and B with C, then A tends to go with C. Graphs without any modules "
    "therefore look modular against it. Its p-value stands here for comparison with the literature and decides "
    "nothing; "
    "the comparison with matched sets does."
)

TAIL_LAWS = "Power laws through upper tails"

TAIL_NOTE = (
    "A tail begins where a power law fits best. The p of the fit is small where none fits, and is not told of fewer "
    "than 50 values. A z above 0 says that the power law is likelier than the other law. Values of a curve or of a "
    "spectrum are noisy and not independent, so these p-values describe and decide nothing."
)

BROKEN_LINES = "Straight and broken lines through the influence curves (log influence on log rank)"

KNOT_NOTE = (
    "A knot is where two straight lines meet best. Any smooth law bends too, so a knot alone is no regime: the test "
    "of a bend is the comparison with smooth laws above. In brackets, where the middle 95 % of 200 resamplings of the "
    "documents put the knot, to the nearest rank tried; one at the first or the last rank tried says only that the "
    "curve is steep at its end. Sorted values are not independent, so BIC, which weighs closeness against the number "
    "of knots (here less its lowest value), describes and tests nothing."
)

UNIT_SHORT = {
    "correlation": "r",
    "log ratio": "log",
    "log ratio per log step": "log/log step",
    "Fisher z": "z",
    "cosine": "cos",
}


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
