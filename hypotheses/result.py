"""What a run found: one row per hypothesis and null (`Finding`), the claims' verdicts, and all of it (`Result`).

Plain data, no estimator and no torch: the reports room reads this and nothing else.
Nothing volatile (time, host, path, duration, worker count) may enter a `Result` except through `Result.provenance`,
which is left out of `results.*`; equal runs therefore give byte-identical results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema

from .member_cards import Members

FORMAT = "2"
"""Of ``results.json``; `neuronull.hypotheses.upgrade` reads format 1 too."""


class Kind(StrEnum):
    """Whether the claim says that something is there, that it is not, or is a check of the pipeline."""

    PRESENCE = "presence"
    ABSENCE = "absence"
    CONTROL = "control"


class Role(StrEnum):
    """Whether a row decides a claim."""

    PRIMARY = "primary"
    SENSITIVITY = "sensitivity"
    CONTROL = "control"


class Verdict(StrEnum):
    """Three ways a claim can fall, and the case that nothing was measured."""

    SUPPORTED = "supported"
    REFUTED = "refuted"
    UNDETERMINED = "undetermined"
    NOT_RUN = "not run"


def _missing(value: Any) -> Any:
    """Null as not-a-number: JSON has neither that nor infinity."""
    return math.nan if value is None else value


Measured: TypeAlias = Annotated[
    float, BeforeValidator(_missing), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})
]
"""A number that may be infinite or none at all, and is then null in ``results.json``."""


class OutputRow(BaseModel):
    """One output of a statistic with several, for instance one attention head; a pooled row has head -1."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    name: str
    layer: int = -1
    head: int = -1
    estimate: Measured
    low: Measured
    high: Measured
    p_adjusted: Measured
    verdict: str


class EnoughCard(BaseModel):
    """What would decide an undetermined row, where a formula can say.

    ``documents`` that would exclude effects of ``margin``; or, where documents are not what is lacking, ``null_sd`` by
    which chance alone scatters the estimate, ``smallest_margin`` that this leaves within reach, and ``larger``: what
    there is too little of.
    """

    model_config = ConfigDict(extra="forbid")
    documents: int | None = None
    margin: float | None = None
    null_sd: float | None = None
    smallest_margin: float | None = None
    larger: str = ""


class DocumentEffectCard(BaseModel):
    """Cohen's d of the document contrasts with its interval, and the Bayes factor for an effect."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    documents: int
    cohen_d: Measured
    d_low: Measured
    d_high: Measured
    bf10: Measured


class BrokenLine(BaseModel):
    """A broken line through a sorted curve: knots with the range over resampled documents, slopes, fit."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    knots: list[float]
    low: list[float]
    high: list[float]
    slopes: list[Measured]
    rms: Measured
    bic: Measured
    sought: tuple[int, int]


class LawComparison(BaseModel):
    """Vuong's z of the power law against another law over the same tail, and its p."""

    model_config = ConfigDict(extra="forbid")
    z: Measured
    p: Measured


class TailLawCard(BaseModel):
    """A power law through an upper tail, whether it fits, and other laws over the same tail."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    exponent: Measured
    start: Measured
    size: int
    distance: Measured
    p_of_fit: float | None
    against: dict[str, LawComparison]


Scalar: TypeAlias = bool | int | float | str | None


class Details(BaseModel):
    """What stands beside a finding's columns; what does not apply is None or empty."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    why: str = Field(default="", description="The rule that decided, in words")
    coverage_warning: str = Field(default="", description="Why the interval is not trusted; empty where it is")
    rival: str = Field(default="", description="What else the effect could be, which the data do not rule out")
    se: float | None = Field(default=None, description="Standard error that the verdict interval was made from")
    p_holds: float | None = Field(
        default=None,
        description="P of what the row claims, margin and all: of a presence "
        "that it is there, 1 with an estimate under the margin; of an absence of equivalence",
    )
    p_fails: float | None = Field(
        default=None,
        description="P of its opposite: of a presence of equivalence; of an "
        "absence that the effect is beyond the margin",
    )
    per_output: list[OutputRow] = Field(default_factory=list, description="One row per output, e.g. per head")
    deciding_output: str = ""
    document_effect: DocumentEffectCard | None = None
    enough: EnoughCard | None = None
    null_chosen: str = Field(default="", description="Null model that was chosen in place of the declared ones")
    nulls_left_out: dict[str, str] = Field(
        default_factory=dict, description="Declared null model -> why it could not serve this set"
    )
    calibration: str = Field(default="", description="How often the test is wrong on planted data without the effect")
    broken_lines: dict[str, list[BrokenLine]] = Field(default_factory=dict, description="Condition -> fits")
    tail_laws: dict[str, TailLawCard] = Field(default_factory=dict)
    found_in_random_weights: list[str] = Field(
        default_factory=list, description="Of a control: hypotheses that find an effect in random weights"
    )
    further: Mapping[str, Scalar | Sequence[str] | Mapping[str, Scalar]] = Field(
        default_factory=dict,
        description="What the statistic says of itself, by name; 'note' is a sentence that stands under the others",
    )


class Finding(BaseModel):
    """One hypothesis under one null model (a two-way verdict is one primary row, its nulls joined by ``+``).

    The fields up to ``notes`` are the columns of ``results.parquet``, in that order, for ever.  What was not run is
    None.
    """

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")

    hypothesis: str
    family: str
    claim: str
    kind: Kind
    role: Role
    model: str
    revision: str | None = None
    layer: int
    corpus: str
    estimator: str
    unit: str
    conditioning: str
    threshold: float | None = None
    elbow: int | None = None
    ablation: str
    plateau: str
    split: int = 0
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_level: float | None = None
    verdict_low: float | None = None
    verdict_high: float | None = None
    effect_size: float | None = None
    effect_size_name: str | None = None
    null_model: str | None = None
    null_mean: float | None = None
    null_sd: float | None = None
    replicates: int | None = None
    p_value: float | None = None
    p_low: float | None = None
    p_high: float | None = None
    p_adjusted: float | None = None
    q_value: float | None = None
    p_equivalence: float | None = None
    margin: float | None = None
    minimal_detectable_effect: float | None = None
    smallest_supportable_margin: float | None = None
    alpha: float
    seed: int
    verdict: Verdict | None = None
    n_documents: int | None = None
    n_positions: int | None = None
    n_neurons: int | None = None
    notes: str = ""

    # Beyond the table: what the report draws.
    sentence: str = Field(default="", description="One plain sentence that a reader can quote")
    margin_means: str = Field(default="", description="The margin in a reader's words")
    two_sided: bool = False
    null_draws: list[float] = Field(default_factory=list, description="Null values of the estimate, estimate's unit")
    details: Details = Field(default_factory=Details)

    @property
    def set_rule(self) -> str:
        """Name or rule of the set under test, whatever it is: the column keeps the name of the first such set."""
        return self.plateau

    def __str__(self) -> str:
        return self.sentence or f"{self.hypothesis}: {self.verdict or self.role}"


SET_COLUMN = "plateau"
"""Column that holds the rule for the size of the set under test, or the name of one that was chosen elsewhere."""

COLUMNS: tuple[str, ...] = tuple(name for name in Finding.model_fields)[: list(Finding.model_fields).index("notes") + 1]


class ClaimVerdict(BaseModel):
    """The verdict on one claim of a paper, from the primary rows that decide it."""

    model_config = ConfigDict(extra="forbid")
    paper: str = Field(default="", description="Id of the paper")
    number: int
    title: str
    verdict: Verdict
    headline: str = Field(default="", description="The verdict in one sentence for a reader who has not read the paper")
    sentence: str
    hypotheses: list[str]
    p_holds: float | None = Field(default=None, description="Largest p of its rows; 1 where one was not run")
    p_fails: float | None = Field(default=None, description="Smallest p against a row, times the number of rows")


class ConditionCard(BaseModel):
    """One of the two classes of positions: a short name for tables, and how sentences speak of its tokens."""

    model_config = ConfigDict(extra="forbid")
    name: str
    phrase: str


class Conditions(BaseModel):
    """The two classes of scored positions that are compared, and the rule that tells them apart."""

    model_config = ConfigDict(extra="forbid")
    a: ConditionCard
    b: ConditionCard
    rule: str


class SetCard(BaseModel):
    """A set of neurons under test: its name, how it was chosen, and how many neurons it has."""

    model_config = ConfigDict(extra="forbid")
    name: str
    rule: str = Field(description="How the neurons were chosen, as a clause")
    chosen_by: str = Field(description="influence, effects, weights or elsewhere")
    cross_fitted: bool = Field(description="Whether it was chosen on one half of the documents and scored on the other")
    size: int
    reliability: float | None = Field(
        default=None, description="Agreement of the two halves' sets beyond chance, 0 to 1; None where no half chose it"
    )
    hypotheses: list[str] = Field(default_factory=list, description="Which hypotheses are about it")


class HypothesisCard(BaseModel):
    """What a reader is told of one hypothesis; names of set and conditions are filled in."""

    model_config = ConfigDict(extra="forbid")
    id: str
    papers: list[str] = Field(default_factory=list, description="Ids of the papers that declare it")
    title: str
    asks: str = ""
    measured: str = ""
    plus: str = "the effect is there"
    minus: str = "the effect goes the other way"
    none: str = "there is no effect of that size"
    source: str = ""
    set: str = Field(default="", description="Name of the set under test")
    figures: list[str] = Field(default_factory=list, description="Figures of the result that stand with it")
    bibtex: list[str] = Field(default_factory=list)


class PaperCard(BaseModel):
    """A paper whose claims were tested."""

    model_config = ConfigDict(extra="forbid")
    id: str
    short: str = Field(description="For headings: Liu (2025), ...")
    citation: str
    link: str = ""
    about: str = Field(default="", description="What its claims are about, for the report's title")
    summary: str = Field(default="", description="One sentence: what the paper claims")
    bibtex: list[str] = Field(default_factory=list)
    limits: list[tuple[str, str]] = Field(default_factory=list, description="What a test of it does not show")
    terms: list[tuple[str, str]] = Field(default_factory=list, description="Words that its claims use")


class Curve(BaseModel):
    """Sorted influence of one condition: mean abs(loss change) in nats against rank, thinned for drawing."""

    model_config = ConfigDict(extra="forbid")
    label: str
    rank: list[int]
    influence: list[float]
    low: list[float] = Field(default_factory=list)
    high: list[float] = Field(default_factory=list)
    knots: list[float] = Field(default_factory=list, description="Ranks where the broken line bends")
    knots_low: list[float] = Field(default_factory=list, description="2.5 % point of each over resampled documents")
    knots_high: list[float] = Field(default_factory=list, description="97.5 % point of each")
    knots_sought: tuple[int, int] | None = Field(
        default=None, description="Lowest and highest rank at which a knot was tried"
    )
    head: int


class HeadMap(BaseModel):
    """Routing log ratio of every head; None where a head is unreachable or pooled."""

    model_config = ConfigDict(extra="forbid")
    layer: list[int]
    head: list[int]
    reachable: list[bool]
    value: list[float | None]
    low: list[float | None]
    high: list[float | None]
    effect: list[float]
    note: list[str]


class GraphTwin(BaseModel):
    """A co-activation graph for drawing: upper-triangle edges (i, j, r) and each node's community."""

    model_config = ConfigDict(extra="forbid")
    label: str
    nodes: list[int]
    community: list[int]
    edges: list[tuple[int, int, float]]
    modularity: float


class Balance(BaseModel):
    """Standardised mean difference between the two sides of a match, by covariate."""

    model_config = ConfigDict(extra="forbid")
    label: str
    rows: list[tuple[str, float]]


class SetEffect(BaseModel):
    """What ablating a neuron of the set does at a position of a condition, on average; nats, nothing is tested."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    effect: str = Field(description="loss, entropy, unigram, direct or frequency")
    label: str = Field(description="Condition of the positions")
    mean: Measured
    low: Measured
    high: Measured
    level: float = Field(description="Of the interval, over documents")
    strata: Measured = Field(description="The same for neurons of the set's strata")
    left: float | None = Field(default=None, description="Size of the effect over that of the loss with nothing frozen")


class Certificate(BaseModel):
    """Outcome of the conformance checks of a null model (``neuronull check``)."""

    model_config = ConfigDict(extra="forbid")
    run: int
    failed: list[str]
    skipped: list[str] = Field(description="Checks that do not apply")
    versions: dict[str, str] = Field(description="Software that the checks were run with")


class NullSummary(BaseModel):
    """A null model that the run used: what its author declares of it, where it came from, and what vouches for it."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    name: str
    origin: str = Field(description="'built in', a package and its version, or a Python module")
    randomises: str
    preserves: list[str]
    breaks: list[str]
    exchangeable: str
    reference: str
    when: str
    says: str = Field(default="", description="What it puts at random, in one plain sentence")
    caveat: str = Field(default="", description="What must be said wherever its numbers stand")
    bibtex: list[str] = Field(default_factory=list)
    hypotheses: list[str] = Field(description="Where its draws stand in the result")
    diagnostics: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Hypothesis -> what the null model tells of its draws on these data"
    )
    certificate: Certificate | None = None


class Outcome(BaseModel):
    """One hypothesis in one universe; `verdict` is None where the hypothesis decides nothing."""

    model_config = ConfigDict(extra="forbid")
    hypothesis: str
    estimate: float | None = None
    verdict_low: float | None = None
    verdict_high: float | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    verdict: Verdict | None = None


class Universe(BaseModel):
    """One combination of settings, and what came out under it."""

    model_config = ConfigDict(extra="forbid")
    settings: dict[str, str] = Field(description="Name of what was varied -> its value here")
    own: bool = Field(description="Whether these are the run's own settings")
    claims: dict[str, Verdict] = Field(default_factory=dict, description="PAPER:NUMBER of a claim -> its verdict here")
    outcomes: list[Outcome] = Field(default_factory=list)
    why_not: str = Field(default="", description="Why nothing could be tested here")


class Multiverse(BaseModel):
    """The verdicts under every combination of the settings that were varied (``--vary``)."""

    model_config = ConfigDict(extra="forbid")
    varied: dict[str, list[str]] = Field(description="Name of what was varied -> its values, the run's own first")
    means: dict[str, str] = Field(default_factory=dict, description="Name of what was varied -> what it is")
    replicates: int = Field(description="Draws of each null model in each universe")
    bears_on: dict[str, list[str]] = Field(
        default_factory=dict, description="Name of what was varied -> the only hypotheses that it can change"
    )
    universes: list[Universe] = Field(description="The run's own first")


class ClusterShare(BaseModel):
    """Share of the variance between documents that clusters hold, with its 95 % interval; it can be below 0."""

    model_config = ConfigDict(extra="forbid")
    share: float
    low: float
    high: float


class Setup(BaseModel):
    """What was measured on what: everything of the input that decides the numbers."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    model: str
    revision: str | None
    architecture: str
    layer: int
    corpus: str
    conditioning: str
    threshold: float | None
    elbow: int | None
    ablation: str
    plateau: str = Field(title="Set under test")
    n_head: int = Field(title="Neurons in the set under test")
    conditions: Conditions
    dtype: str
    model_hash: str
    corpus_hash: str
    counts_hash: str
    n_documents: int
    n_clusters: int | None = Field(
        default=None, description="Clusters of documents, the units of chance; None where each document is its own"
    )
    effective_clusters: float | None = Field(
        default=None, description="How many equal clusters would be worth as much: (sum n)^2 / sum n^2"
    )
    cluster_shares: dict[str, ClusterShare] = Field(
        default_factory=dict,
        description="Share of the variance between documents that clusters hold: of the mean loss, and of the log "
        "ratio of the mean influence of the two conditions",
    )
    n_positions: int
    n_pairs: int
    n_neurons: int
    replicates: int
    alpha: float
    seed: int
    audit_entries: int | None
    audit_max_abs_error: float | None
    versions: dict[str, str]
    suite: str = "default"

    @property
    def set_rule(self) -> str:
        """Name or rule of the set under test, whatever it is: the field keeps the name of the first such set."""
        return self.plateau


class Result(BaseModel):
    """All that a run found.  ``results.json`` is this object without `provenance`."""

    model_config = ConfigDict(extra="forbid")
    format: str = FORMAT
    setup: Setup
    papers: list[PaperCard] = Field(default_factory=list)
    sets: list[SetCard] = Field(default_factory=list)
    hypotheses: list[HypothesisCard] = Field(default_factory=list)
    claims: list[ClaimVerdict]
    findings: list[Finding]
    left_out: dict[str, str] = Field(default_factory=dict, description="Hypothesis -> why it was not run")
    warnings: list[str] = Field(default_factory=list)
    curves: list[Curve] = Field(default_factory=list)
    head_map: HeadMap | None = None
    graphs: list[GraphTwin] = Field(default_factory=list)
    balance: list[Balance] = Field(default_factory=list)
    nulls: list[NullSummary] = Field(default_factory=list)
    set_effects: list[SetEffect] | None = Field(default=None, description="Left out where none were measured")
    multiverse: Multiverse | None = Field(default=None, description="Left out where nothing was varied")
    members: Members | None = Field(
        default=None, description="Who the neurons of the set under test are; left out where there is none"
    )
    provenance: dict[str, Any] = Field(default_factory=dict, exclude=True)
    _frames: dict[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def frames(self) -> dict[str, Any]:
        """Data frames of what stands behind the rows, by name (docs/data-frames.md); none in a result read from disk.

        They are no part of ``results.json``: a run's directory holds each as a Parquet file of its name.
        """
        return self._frames

    def keep_frames(self, frames: dict[str, Any]) -> None:
        """Take the data frames of the run that made this result."""
        self._frames = frames

    def __repr__(self) -> str:
        """Short: the whole of it are hundreds of thousands of characters."""
        verdicts = ", ".join(f"{claim.paper} {claim.number} {claim.verdict}" for claim in self.claims)
        told = f"{self.setup.model}, layer {self.setup.layer}, {len(self.findings)} findings"
        return f"<Result: {told}; {verdicts or 'no claim'}>"

    def hypothesis(self, id: str) -> HypothesisCard:
        """What a reader is told of a hypothesis; of one without a card, its id."""
        return next((card for card in self.hypotheses if card.id == id), HypothesisCard(id=id, title=id))

    def null(self, name: str) -> NullSummary | None:
        """What is known of a null model of this run."""
        return next((card for card in self.nulls if card.name == name), None)

    def finding(self, hypothesis: str, null: str | None = None) -> Finding:
        """Row of `hypothesis`: the primary one, or the one under `null`.

        Raises
        ------
        KeyError
            If there is no such row.
        """
        rows = [f for f in self.findings if f.hypothesis == hypothesis and (null is None or f.null_model == null)]
        if not rows:
            of_it = sorted({f.null_model for f in self.findings if f.hypothesis == hypothesis and f.null_model})
            if of_it:
                raise KeyError(f"{hypothesis} has no row under {null!r}; its null models are {', '.join(of_it)}")
            known = sorted({f.hypothesis for f in self.findings})
            raise KeyError(f"no finding {hypothesis!r} under null {null!r}; this result has {', '.join(known)}")
        return min(rows, key=lambda f: [Role.PRIMARY, Role.CONTROL, Role.SENSITIVITY].index(f.role))

    @property
    def table(self) -> Any:
        """All rows as a pandas DataFrame with the stable columns."""
        import pandas as pd

        return pd.DataFrame(
            [f.model_dump(include=set(COLUMNS), mode="json") for f in self.findings], columns=list(COLUMNS)
        )
