"""What every report says whatever was tested: verdict words and rules, limits, terms, units, notes under tables."""

from __future__ import annotations

from ..hypotheses.result import Verdict

METHOD = (
    "Each estimate is held against what chance alone gives (a null model) and against the smallest effect that would "
    "matter (a margin, declared with the claim), and a claim may be supported, refuted or left open."
)
METHOD_OF_ABSENCE = (
    "that something is absent, and a plain failure to find it cannot show that. So each estimate is held against what "
    "chance alone gives (a null model) and against the smallest effect that would matter (a margin, declared with the "
    "claim), and a claim may be supported, refuted or left open."
)
"""Behind "Claim 2 says"."""

OWN = "Hypotheses of your own"
FURTHER = "Further findings"
OTHER_CLAIMS = "Other claims"
"""Above claims that belong to no paper."""

VERDICT_MARKS: dict[Verdict, str] = {
    Verdict.SUPPORTED: "\u2713",
    Verdict.REFUTED: "\u2717",
    Verdict.UNDETERMINED: "?",
    Verdict.NOT_RUN: "\u2013",
}

VERDICT_MEANS: dict[Verdict, str] = {
    Verdict.SUPPORTED: "the evidence is strong enough, by the rule declared with the claim, to say that it holds here",
    Verdict.REFUTED: "the evidence is strong enough to say that the claim does not hold here",
    Verdict.UNDETERMINED: "the data fit both answers; this is a finding about the size of the data, not a no",
    Verdict.NOT_RUN: "not measured in this run",
}

VERDICT_RULES: tuple[str, ...] = (
    "A claim that something is there is refuted if its whole familywise interval lies below the margin (for an effect "
    "in either direction: within plus and minus the margin), else supported if the adjusted p is below alpha, else "
    "undetermined. Familywise: as wide as all tests that could refute the claim need so that they hold together.",
    "A claim that something is absent is supported if its whole verdict interval lies below the margin (of a test with "
    "several outputs, such as one per attention head: the interval of every output), else refuted if the adjusted p is "
    "below alpha and the familywise interval does not reach below the margin, else undetermined.",
    "Where the documents are too few or too uneven for the interval to be trusted, or too few other neurons look like "
    "those under test, nothing that rests on the interval is granted: the verdict is then undetermined, and says so.",
    "A claim of a paper is supported if all tests that decide it are, refuted if any of them is, else undetermined.",
)

LIMITS: tuple[tuple[str, str], ...] = (
    (
        "One model, one corpus",
        "Everything here is about this layer of this model on this text. It says nothing about other models.",
    ),
    (
        "Absence is never proved outright",
        "A claim that something is absent is supported only in the sense that anything larger than the stated margin "
        "is excluded. A plain failure to find an effect supports nothing.",
    ),
    (
        "The rule is not symmetrical",
        "A claim of absence is refuted only when the effect lies beyond the margin. An effect that is real but smaller "
        "than the margin leaves the claim standing.",
    ),
    (
        "Margins are choices",
        "They were set before the data were seen, but a reader with another margin can reach another verdict. Each "
        "finding that claims an absence prints the smallest margin this design could have supported, so that it can be "
        "judged again.",
    ),
    (
        "Ablation is not the only meaning of influence",
        "Influence is the change in loss when one neuron is set to its mean. Other interventions can rank neurons "
        "otherwise.",
    ),
)

EMBEDDED_LIMIT = (
    "A very small model",
    "The embedded models have about four million parameters and were trained on Python documentation. They serve to "
    "show the method and to try it without a network; their verdicts say nothing about the large models that papers "
    "study.",
)

COMPARE_LIMITS: tuple[tuple[str, str], ...] = (
    ("Agreement is not proof", "Models that share text, tokenizer or makers can agree for that reason."),
    (
        "Different verdicts need not disagree",
        "One run can be undetermined because it is small. Compare the intervals, not the words.",
    ),
    *LIMITS[1:],
)

TERMS: tuple[tuple[str, str], ...] = (
    ("Token", "A word or a piece of a word: the unit in which a model reads."),
    ("Neuron", "One hidden unit of a feed-forward (MLP) layer."),
    (
        "Influence",
        "How much the model's loss on a token changes, in nats, when one neuron is replaced by its mean (mean "
        "ablation).",
    ),
)
"""Terms of what is measured; those of the conditions and sets of a run stand with them."""

TEST_TERMS: tuple[tuple[str, str], ...] = (
    (
        "Null model",
        "A way to make data in which the effect is absent and all else is kept, to see what chance alone would give.",
    ),
    (
        "Verdict interval",
        "The range of effects that the data leave possible, at the level the verdict uses (one minus twice alpha).",
    ),
    ("95 % interval", "The range for the effect at the selected neurons, over documents alone."),
    ("Margin", "The smallest effect that would matter, fixed before the data were seen. In figures, the shaded band."),
    ("p", "How often the null model gives an effect at least as large as the one observed."),
    (
        "Adjusted p",
        "The same after correction for the number of tests in the family (Holm, or maxT over the outputs of one test).",
    ),
    ("q", "Expected share of false discoveries if this and all smaller p-values are called discoveries."),
    ("Equivalence p", "The smallest error rate at which the data exclude an effect as large as the margin."),
    ("Smallest detectable effect", "The effect that this design would have decided on in four runs out of five."),
    (
        "Smallest supportable margin",
        "The smallest margin for which this design could have shown absence in four runs out of five.",
    ),
    (
        "Calibration",
        "How often the test finds an effect in made-up data that hold none, counted over R such data sets; about 5 % "
        "is what a test at 5 % promises. Its interval says how sure that rate is.",
    ),
    ("B", "Number of draws from the null model. The p-value can be no smaller than 1 / (1 + B)."),
    ("Nat, log ratio", "Natural-logarithm units; a log ratio of .22 is a factor of 1.25."),
    ("Modularity Q", "How much denser a graph is inside its communities than its degrees would lead one to expect."),
    (
        "Audit",
        "A sample of influences computed a second time by the slow, direct way; the largest difference is given.",
    ),
)
"""Terms of the tests."""

UNIT_SHORT = {
    "correlation": "r",
    "log ratio": "log",
    "log ratio per log step": "log/log step",
    "Fisher z": "z",
    "cosine": "cos",
}

DIAGNOSTICS: dict[str, str] = {
    "strata": "groups of neurons that are alike",
    "smallest": "neurons in the smallest group",
    "largest": "neurons in the largest group",
    "distinct_sets": "distinct sets of heads there are",
    "r_squared": "share of the scatter of log influence that activity and weight statistics predict",
    "overlap": "share of a null set that belongs to the set under test",
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
    "tries_per_edge": "switches tried per edge",
    "accepted_share": "share of the switches that were made",
    "edges_left": "share of the original edges left as it goes on (level at the end if mixed)",
}
"""Quantities by which null models tell how they did; any other goes by its own name."""

SEVERAL_NULLS = "Each of these in turn; the larger p counts."

TAIL_LAWS = "Power laws through upper tails"

TAIL_NOTE = (
    "A tail begins where a power law fits best. The p of the fit is small where none fits, and is not told of fewer "
    "than 50 values. A z above 0 says that the power law is likelier than the other law. Values of a curve or of a "
    "spectrum are noisy and not independent, so these p-values describe and decide nothing."
)

BROKEN_LINES = "Straight and broken lines through the influence curves (log influence on log rank)"

KNOT_NOTE = (
    "A knot is where two straight lines meet best. Any smooth law bends too, so a knot alone is no regime: the test "
    "of a bend is a comparison with smooth laws. In brackets, where the middle 95 % of 200 resamplings of the "
    "documents put the knot, to the nearest rank tried; one at the first or the last rank tried says only that the "
    "curve is steep at its end. Sorted values are not independent, so BIC, which weighs closeness against the number "
    "of knots (here less its lowest value), describes and tests nothing."
)
