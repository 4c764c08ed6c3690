"""What a run found: one row a hypothesis x null (`Finding`), the claims' verdicts, and all of it together (`Result`).

Plain data, no estimator and no torch: the reports room reads this and nothing else.
Nothing volatile (time, host, path, duration, worker count) may enter a `Result` except through `Result.provenance`,
which is left out of `results.*`; equal runs therefore give byte-identical results.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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


class Finding(BaseModel):
    """One hypothesis under one null (a two-way verdict is one primary row, its nulls joined by ``+``).

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
    threshold: float
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
    details: dict[str, Any] = Field(default_factory=dict, description="Further numbers by name, e.g. one row a head")

    def __str__(self) -> str:
        return self.sentence or f"{self.hypothesis}: {self.verdict or self.role}"


COLUMNS: tuple[str, ...] = tuple(name for name in Finding.model_fields)[: list(Finding.model_fields).index("notes") + 1]


class ClaimVerdict(BaseModel):
    """The verdict on one of the paper's claims, from the primary rows of its families."""

    model_config = ConfigDict(extra="forbid")
    number: int
    title: str
    verdict: Verdict
    sentence: str
    hypotheses: list[str]


class Curve(BaseModel):
    """Sorted influence of one class: mean abs(loss change) in nats against rank, thinned for drawing."""

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


class PlateauEffect(BaseModel):
    """What ablating a neuron of the plateau does at a position of a class, on average; nats, nothing is tested."""

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="null")
    effect: str = Field(description="loss, entropy, unigram, direct or frequency")
    label: str = Field(description="Class of the positions")
    plateau: float
    low: float
    high: float
    level: float = Field(description="Of the interval, over documents")
    strata: float = Field(description="The same for neurons of the plateau's strata")
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
    claims: dict[int, Verdict] = Field(default_factory=dict, description="Number of a claim -> its verdict here")
    outcomes: list[Outcome] = Field(default_factory=list)
    why_not: str = Field(default="", description="Why nothing could be tested here")


class Multiverse(BaseModel):
    """The verdicts under every combination of the settings that were varied (``--vary``)."""

    model_config = ConfigDict(extra="forbid")
    varied: dict[str, list[str]] = Field(description="Name of what was varied -> its values, the run's own first")
    replicates: int = Field(description="Draws of each null model in each universe")
    bears_on: dict[str, list[str]] = Field(
        default_factory=dict, description="Name of what was varied -> the only hypotheses that it can change"
    )
    universes: list[Universe] = Field(description="The run's own first")


class Setup(BaseModel):
    """What was measured on what: everything of the input that decides the numbers."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    model: str
    revision: str | None
    architecture: str
    layer: int
    corpus: str
    conditioning: str
    threshold: float
    elbow: int | None
    ablation: str
    plateau: str
    n_head: int
    dtype: str
    model_hash: str
    corpus_hash: str
    counts_hash: str
    n_documents: int
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


class Result(BaseModel):
    """All that a run found.  ``results.json`` is this object without `provenance`."""

    model_config = ConfigDict(extra="forbid")
    format: str = "1"
    setup: Setup
    claims: list[ClaimVerdict]
    findings: list[Finding]
    left_out: dict[str, str] = Field(default_factory=dict, description="Hypothesis -> why it was not run")
    warnings: list[str] = Field(default_factory=list)
    curves: list[Curve] = Field(default_factory=list)
    head_map: HeadMap | None = None
    graphs: list[GraphTwin] = Field(default_factory=list)
    balance: list[Balance] = Field(default_factory=list)
    nulls: list[NullSummary] = Field(default_factory=list)
    plateau_effects: list[PlateauEffect] | None = Field(default=None, description="Left out where none were measured")
    multiverse: Multiverse | None = Field(default=None, description="Left out where nothing was varied")
    provenance: dict[str, Any] = Field(default_factory=dict, exclude=True)

    def finding(self, hypothesis: str, null: str | None = None) -> Finding:
        """Row of `hypothesis`: the primary one, or the one under `null`.

        Raises
        ------
        KeyError
            If there is no such row.
        """
        rows = [f for f in self.findings if f.hypothesis == hypothesis and (null is None or f.null_model == null)]
        if not rows:
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
