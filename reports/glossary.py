"""What every report says whatever was found: the claims' headlines, the verdict words, the limits, the terms."""

from __future__ import annotations

from ..hypotheses.result import Verdict

PAPER = "Liu (2025), No Clustering, No Routing: How Transformers Actually Process Rare Tokens"
PAPER_SHORT = "Liu (2025), \u201cNo Clustering, No Routing\u201d"
PAPER_LINK = "https://arxiv.org/abs/2509.04479"

CLAIMED = (
    "Liu (2025) claims that language models give rare words (tokens) a small set of neurons of their own, that these "
    "neurons form no clusters, and that attention does not steer to them."
)
METHOD = (
    "The last two claims say that something is absent, and a plain failure to find it cannot show that. So each "
    "estimate is held against what chance alone gives (a null model) and against the smallest effect that would matter "
    "(a margin, fixed beforehand), and a claim may be supported, refuted or left open."
)

FAMILY_OF_CLAIM = {1: "regimes", 2: "clusters", 3: "routing"}

HEADLINES: dict[int, dict[Verdict, str]] = {
    1: {
        Verdict.SUPPORTED: "For rare words this model leans on a small group of neurons in a way it does not for "
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
        Verdict.SUPPORTED: "Attention does not favour those neurons for rare words by any amount that would matter.",
        Verdict.REFUTED: "Attention does favour those neurons for rare words, against the claim.",
        Verdict.UNDETERMINED: "This run cannot tell whether attention favours those neurons for rare words.",
        Verdict.NOT_RUN: "Whether attention favours those neurons for rare words was not measured.",
    },
}

VERDICT_MARKS: dict[Verdict, str] = {
    Verdict.SUPPORTED: "\u2713",
    Verdict.REFUTED: "\u2717",
    Verdict.UNDETERMINED: "?",
    Verdict.NOT_RUN: "\u2013",
}

VERDICT_MEANS: dict[Verdict, str] = {
    Verdict.SUPPORTED: "the evidence is strong enough, by a rule fixed beforehand, to say that the claim holds here",
    Verdict.REFUTED: "the evidence is strong enough to say that the claim does not hold here",
    Verdict.UNDETERMINED: "the data fit both answers; this is a finding about the size of the data, not a no",
    Verdict.NOT_RUN: "not measured in this run",
}

VERDICT_RULES: tuple[str, ...] = (
    "A claim that something is there is refuted if its whole firm interval lies below the margin (for an effect in "
    "either direction: within plus and minus the margin), else supported if the adjusted p is below alpha, else "
    "undetermined. Firm: as wide as all tests that could refute the claim need so that they hold together.",
    "A claim that something is absent is supported if its whole verdict interval lies below the margin (for attention: "
    "the interval of every head that can reach the layer), else refuted if the adjusted p is below alpha and the firm "
    "interval does not reach below the margin, else undetermined.",
    "Where the documents are too few or too uneven for the interval to be trusted, or too few other neurons look like "
    "the plateau, nothing that rests on the interval is granted: the verdict is then undetermined, and says so.",
    "One of the paper's claims is supported if all tests that decide it are, refuted if any of them is, else "
    "undetermined.",
)

LIMITS: tuple[tuple[str, str], ...] = (
    (
        "One model, one corpus",
        "Everything here is about this layer of this model on this text. It says nothing about other models.",
    ),
    (
        "Absence is never proved outright",
        "A claim that something is absent is supported only in the sense that anything larger than the stated margin "
        "is "
        "excluded. A plain failure to find an effect supports nothing.",
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
    "show "
    "the method and to try it without a network; their verdicts say nothing about GPT-2 XL or Pythia, which the paper "
    "studied.",
)

COMPARE_LIMITS: tuple[tuple[str, str], ...] = (
    ("Agreement is not proof", "Models that share text, tokenizer or makers can agree for that reason."),
    (
        "Different verdicts need not disagree",
        "One run can be undetermined because it is small. Compare the intervals, not the words.",
    ),
    *LIMITS[1:],
)

GLOSSARY: tuple[tuple[str, str], ...] = (
    ("Token", "A word or a piece of a word: the unit in which a model reads."),
    (
        "Rare, common",
        "Tokens beyond and within a frequency rank in the model's training text; the rank is under set-up.",
    ),
    ("Neuron", "One hidden unit of a feed-forward (MLP) layer."),
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
        "Sets of ordinary neurons that resemble the plateau in activity and weights: what it is compared with.",
    ),
    (
        "Verdict interval",
        "The range of effects that the data leave possible, at the level the verdict uses (one minus twice alpha).",
    ),
    ("95 % interval", "The range for the effect at the selected neurons, over documents alone."),
    ("Margin", "The smallest effect that would matter, fixed before the data were seen. In figures, the shaded band."),
    ("p", "How often the null model gives an effect at least as large as the one observed."),
    ("Adjusted p", "The same after correction for the number of tests in the family (Holm, or maxT over heads)."),
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
