"""The planted worlds on which hypotheses are calibrated: null data, effects of rising strength, other designs."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ...data.errors import InputError
from ...data.planted import ClosureDials, Dials, Piece, TrainingDials

Purpose: TypeAlias = Literal["null", "power", "design"]

FEWER = 0.05
"""Data sets of a power or design scenario, as a share of the number asked for: a size needs more than a power."""


@dataclass(frozen=True)
class Scenario:
    """One planted world and the hypotheses that it is a test of.

    ``purpose``: *null* (nothing is there: size), *power* (an effect of a given strength), *design* (no effect or one
    at the margin, other sizes: how absence claims fare).  ``dial`` and ``strength`` name the effect; ``says`` is
    for readers; ``share``: data sets to make, as a share of the number asked for (more where they cost milliseconds).
    ``closure``: how joint ablation acts in it, for hypotheses that ablate sets; ``dial`` may be one of its fields.
    """

    name: str
    purpose: Purpose
    dials: Dials
    pieces: tuple[Piece, ...]
    hypotheses: tuple[str, ...]
    says: str
    dial: str = ""
    strength: float = 0.0
    share: float = FEWER
    closure: ClosureDials | None = None

    def datasets(self, asked: int) -> int:
        """Data sets to make when `asked` are asked for; at least 20 where that many are asked for."""
        return max(min(asked, 20), round(asked * self.share))

    @property
    def fingerprint(self) -> str:
        """Hash of the world, so that results of another one are never taken for its own.

        Of the dials that are not where they stand by default: a dial that is added later leaves other worlds alone.
        """
        default, told = dataclasses.asdict(type(self.dials)()), dataclasses.asdict(self.dials)
        dials = {name: value for name, value in told.items() if value != default[name]}
        if self.closure is not None:
            dials["closure"] = dataclasses.asdict(self.closure)
        return hashlib.sha256(json.dumps(dials, sort_keys=True).encode()).hexdigest()[:12]


INFLUENCE = ("regimes.selectivity", "regimes.contrast")
ACTIVATIONS = ("clusters.within", "clusters.rewired", "clusters.cohesion", "coordination.dimension")
WEIGHTS = ("clusters.weights", "clusters.index", "tails.weights")
HEADS = ("routing.heads", "routing.concentration")

WIDE = Dials(neurons=640)
ALIKE = Dials(neurons=480, pairs=8, head_class_sd=0.0)
TRAINING = TrainingDials(neurons=640)
BRIEF = Dials(neurons=480, pairs=8)
"""For effects that lie in heads or weights: influence only chooses the plateau, so few positions do."""


def _null(name: str, dials: Dials, pieces: tuple[Piece, ...], hypotheses: tuple[str, ...], says: str) -> Scenario:
    share = {"influence": 1.0, "activations": 0.5, "weights": 1.0, "heads": 1.0}
    return Scenario(name, "null", dials, pieces, hypotheses, says, share=share[pieces[-1]])


def _nulls() -> list[Scenario]:
    change = dataclasses.replace
    influence: tuple[Piece, ...] = ("influence",)
    active: tuple[Piece, ...] = ("influence", "activations")
    scattered = [
        _null(
            f"influence.scatter-{scatter:g}",
            change(WIDE, scatter=scatter),
            influence,
            INFLUENCE,
            f"neuron-by-class scatter {scatter:g} without specialists; document-by-class effects; loss higher on rare",
        )
        for scatter in (0.15, 0.3)
    ]
    laws = [
        _null(
            f"influence.{law}",
            change(WIDE, law=law, covariate_link=0.0),
            influence,
            ("regimes.shape", *INFLUENCE),
            f"influence of {law} shape in both classes, scatter .15",
        )
        for law in ("lognormal", "Weibull", "Pareto")
    ]
    return [
        _null(
            "influence.scatter-0",
            change(WIDE, scatter=0.0),
            influence,
            (*INFLUENCE, "regimes.recruitment"),
            "classes alike in every neuron; document-by-class effects; loss higher on rare",
        ),
        *scattered,
        *laws,
        _null(
            "influence.few-documents",
            Dials(documents=40, pairs=12, neurons=480, law="Weibull", covariate_link=0.0),
            influence,
            ("regimes.shape", *INFLUENCE),
            "40 documents of 12 pairs",
        ),
        *(
            _null(
                name,
                change(WIDE, covariate_link=0.6, covariate_lean=lean),
                influence,
                INFLUENCE,
                f"neurons of large activation scale lean to {to} (.15 a sd) and are more influential (correlation .6)",
            )
            for name, lean, to in (("influence.lean-rare", 0.15, "rare"), ("influence.lean-common", -0.15, "common"))
        ),
        _null(
            "activations.sparse",
            Dials(),
            active,
            ACTIVATIONS,
            "skewed sparse activations, heterogeneous loading, correlated neighbours, true correlations of sd .05",
        ),
        _null(
            "activations.diffuse",
            Dials(background=0.1, loading=0.05),
            active,
            ACTIVATIONS,
            "diffuse true correlations of sd .1",
        ),
        _null(
            "activations.linked",
            Dials(covariate_link=0.6),
            active,
            ACTIVATIONS,
            "influence follows activation scale and output norm (correlation .6)",
        ),
        _null(
            "activations.confounded",
            Dials(neurons=960, covariate_link=0.93, confounding=0.45),
            active,
            ACTIVATIONS,
            "influence follows activation scale (correlation .93), and neurons of large scale are more correlated",
        ),
        _null(
            "weights.isotropic",
            BRIEF,
            ("influence", "weights"),
            WEIGHTS,
            "rows over unequal dimensions, nothing shared",
        ),
        _null(
            "heads.uneven",
            BRIEF,
            ("influence", "heads"),
            HEADS,
            "heads act 65 % more on the plateau in both classes, and each head more in one class on all neurons",
        ),
        _null(
            "heads.alike",
            ALIKE,
            ("influence", "heads"),
            (*HEADS, "routing.profile"),
            "heads act 65 % more on the plateau in both classes, alike for both",
        ),
        *_training_nulls(),
    ]


def _training_nulls() -> list[Scenario]:
    worlds: dict[str, tuple[dict[str, Any], str]] = {
        "scatter": ({"scatter": 0.3}, "neuron-by-class scatter that grows to .3, without specialists"),
        "alike": ({"scatter": 0.0}, "classes alike in every neuron at every checkpoint; document-by-class effects"),
        "constant": (
            {"specialists": 0.35, "early": 1.0},
            "a plateau 35 % stronger on rare tokens, at the first checkpoint as at the last",
        ),
        "turnover": (
            {"documents": 40, "pairs": 12, "memory": 0.5},
            "40 documents of 12 pairs; neurons change ranks between checkpoints (correlation .5)",
        ),
    }
    return [
        _null(f"training.{name}", dataclasses.replace(TRAINING, **changed), ON_INFLUENCE, ("emergence.trend",), says)
        for name, (changed, says) in worlds.items()
    ]


@dataclass(frozen=True)
class Effect:
    """A dial that plants what a hypothesis looks for, its strengths, the world around it, and what it means."""

    hypothesis: str
    dial: str
    strengths: tuple[float, ...]
    world: Dials
    pieces: tuple[Piece, ...]
    means: str

    def planted(self, strength: float) -> Dials:
        """The world with the dial set."""
        change: dict[str, Any] = {self.dial: strength}
        return dataclasses.replace(self.world, **change)


CERTAIN: dict[str, Any] = {"raised_both": 3.0}
"""Raises the plateau so far that the one which is chosen is the planted one."""
UNLINKED = dataclasses.replace(WIDE, covariate_link=0.0)
ON_INFLUENCE: tuple[Piece, ...] = ("influence",)
ON_ACTIVATIONS: tuple[Piece, ...] = ("influence", "activations")
ON_WEIGHTS: tuple[Piece, ...] = ("influence", "weights")
ON_HEADS: tuple[Piece, ...] = ("influence", "heads")

EFFECTS = (
    Effect(
        "regimes.shape",
        "flat_both",
        (0.5, 0.75, 1.0),
        UNLINKED,
        ON_INFLUENCE,
        "share by which the heads of both classes are flattened",
    ),
    Effect(
        "regimes.shape",
        "raised_both",
        (0.5, 1.0, 1.5, 2.0),
        UNLINKED,
        ON_INFLUENCE,
        "log ranks by which the heads of both classes lie above their power law",
    ),
    Effect(
        "regimes.contrast",
        "flat_rare",
        (0.5, 0.75, 1.0),
        WIDE,
        ON_INFLUENCE,
        "share by which the head of rare is flattened",
    ),
    Effect(
        "regimes.contrast",
        "raised_rare",
        (0.25, 0.5, 1.0, 1.5),
        WIDE,
        ON_INFLUENCE,
        "log ranks by which the head of rare lies above its power law",
    ),
    Effect(
        "regimes.selectivity",
        "specialists",
        (0.05, 0.1, 0.2, 0.35, 0.5),
        WIDE,
        ON_INFLUENCE,
        "relative excess of the plateau's influence on rare tokens",
    ),
    Effect(
        "regimes.recruitment",
        "recruited",
        (0.01, 0.02, 0.05),
        dataclasses.replace(WIDE, scatter=0.0),
        ON_INFLUENCE,
        "share by which log influence on rare is less spread",
    ),
    Effect(
        "clusters.within",
        "modules",
        (0.05, 0.1, 0.2, 0.3, 0.4),
        Dials(),
        ON_ACTIVATIONS,
        "share of latent variance that each of two blocks of the plateau has in common",
    ),
    Effect(
        "clusters.rewired",
        "modules",
        (0.1, 0.2, 0.3, 0.4),
        Dials(),
        ON_ACTIVATIONS,
        "share of latent variance that each of two blocks of the plateau has in common",
    ),
    Effect(
        "clusters.cohesion",
        "cohesion",
        (0.02, 0.05, 0.1, 0.2),
        Dials(),
        ON_ACTIVATIONS,
        "share of latent variance that the plateau has in common",
    ),
    Effect(
        "clusters.weights",
        "weight_cluster",
        (0.05, 0.1, 0.2, 0.4),
        BRIEF,
        ON_WEIGHTS,
        "cosine that the plateau's weight vectors share",
    ),
    Effect(
        "clusters.index",
        "index_cluster",
        (0.5, 0.75, 1.0),
        dataclasses.replace(BRIEF, neurons=1536, **CERTAIN),
        ON_INFLUENCE,
        "share of the plateau (26 neurons, all of them chosen) at neighbouring indices",
    ),
    Effect(
        "routing.heads",
        "routing",
        (0.1, 0.25, 0.5, 1.0),
        BRIEF,
        ON_HEADS,
        "relative excess of one head's effect on the plateau for rare tokens",
    ),
    Effect(
        "routing.concentration",
        "concentrated",
        (0.1, 0.2, 0.4, 0.8),
        BRIEF,
        ON_HEADS,
        "relative excess of the spread of log head effect on the plateau",
    ),
    Effect(
        "routing.profile",
        "profile",
        (0.05, 0.1, 0.2, 0.4, 0.8),
        ALIKE,
        ON_HEADS,
        "sd of log head effect between the classes on the plateau",
    ),
    Effect(
        "coordination.dimension",
        "mirrored",
        (0.1, 0.2, 0.3, 0.4),
        Dials(),
        ON_ACTIVATIONS,
        "share of latent variance that the plateau has in common, half with opposite sign",
    ),
    Effect(
        "emergence.trend",
        "emergence",
        (0.01, 0.02, 0.04, 0.08),
        TRAINING,
        ON_INFLUENCE,
        "log ratio that the plateau gains on rare tokens whenever the training is e times as long",
    ),
    Effect(
        "tails.weights",
        "weight_tail",
        (0.25, 0.5, 1.0),
        BRIEF,
        ON_WEIGHTS,
        "exponent by which the plateau's singular values fall",
    ),
)


def _powers() -> list[Scenario]:
    return [
        Scenario(
            f"{e.hypothesis}@{e.dial}={strength:g}",
            "power",
            e.planted(strength),
            e.pieces,
            (e.hypothesis,),
            e.means,
            e.dial,
            strength,
        )
        for e in EFFECTS
        for strength in e.strengths
    ]


def _designs() -> list[Scenario]:
    many = Dials(documents=240, pairs=8, neurons=480, head_class_sd=0.0)
    wide = Dials(documents=120, pairs=20, neurons=1280, plateau_share=0.04, background=0.02)
    broad = dataclasses.replace(wide, documents=160, plateau_share=0.0625, sparsity=0.5)
    deep = Dials(documents=60, pairs=8, neurons=2560, width=256)
    few = Dials(documents=24, pairs=8, neurons=480, head_class_sd=0.0)
    absences = ("clusters.within", "clusters.cohesion")
    change = dataclasses.replace
    return [
        Scenario("large.heads", "design", many, ON_HEADS, (*HEADS, "routing.profile"), "no effect, 240 documents"),
        Scenario(
            "large.activations",
            "design",
            broad,
            ON_ACTIVATIONS,
            absences,
            "no effect, 160 documents, plateau of 80, activations less sparse",
        ),
        Scenario(
            "large.weights", "design", deep, ON_WEIGHTS, ("clusters.weights",), "no effect, plateau of 44, width 256"
        ),
        Scenario("small.heads", "design", few, ON_HEADS, (*HEADS, "routing.profile"), "no effect, 24 documents"),
        Scenario("small.activations", "design", few, ON_ACTIVATIONS, absences, "no effect, 24 documents"),
        Scenario(
            "edge.heads",
            "design",
            change(many, routing=0.27, **CERTAIN),
            ON_HEADS,
            ("routing.heads",),
            "one head's effect just at the margin, 240 documents",
            "routing",
            0.27,
        ),
        Scenario(
            "edge.all-heads",
            "design",
            change(BRIEF, heads=36, head_class_sd=0.0, head_noise_sd=0.8, routing_all=0.25, **CERTAIN),
            ON_HEADS,
            ("routing.heads",),
            "all of 36 noisy heads route alike, within the margin",
            "routing_all",
            0.25,
        ),
        Scenario(
            "edge.weak-head",
            "design",
            change(many, documents=120, neurons=240, heads=144, router=72, routing=1.0, **CERTAIN),
            ON_HEADS,
            ("routing.heads",),
            "one head of 144, of middling strength, acts twice as much on the plateau for rare",
            "routing",
            1.0,
            share=FEWER / 2,
        ),
        Scenario(
            "edge.concentration",
            "design",
            change(BRIEF, neurons=1600, plateau_share=0.03, covariate_link=0.93, concentrated=0.2, **CERTAIN),
            ON_HEADS,
            ("routing.concentration",),
            "concentration at the margin, influence follows scale (correlation .93)",
            "concentrated",
            0.2,
        ),
        Scenario(
            "edge.weights",
            "design",
            change(deep, weight_cluster=0.0525, **CERTAIN),
            ON_WEIGHTS,
            ("clusters.weights",),
            "shared cosine just at the margin, plateau of 44",
            "weight_cluster",
            0.0525,
        ),
        Scenario(
            "edge.linked-weights",
            "design",
            change(deep, covariate_link=0.93, weight_cluster=0.0525, **CERTAIN),
            ON_WEIGHTS,
            ("clusters.weights",),
            "shared cosine just at the margin, influence follows scale (correlation .93), plateau of 44",
            "weight_cluster",
            0.0525,
        ),
        Scenario(
            "edge.shape",
            "design",
            change(UNLINKED, documents=240, neurons=1280, flat_both=0.3),
            ON_INFLUENCE,
            ("regimes.shape",),
            "heads of both classes a little flattened, near the margin",
            "flat_both",
            0.3,
        ),
        Scenario(
            "edge.cohesion",
            "design",
            change(wide, cohesion=0.075, **CERTAIN),
            ON_ACTIVATIONS,
            ("clusters.cohesion",),
            "cohesion near the margin, plateau of 51",
            "cohesion",
            0.075,
        ),
    ]


def _closures() -> list[Scenario]:
    """Worlds of the hypotheses that ablate sets jointly."""
    change, neurons, heads = dataclasses.replace, ("specialists.closure",), ("routing.closure",)
    many = change(BRIEF, heads=40)
    alike = ClosureDials(head_class_sd=0.0)
    nulls = [
        ("closure.neurons", WIDE, ClosureDials(), "neurons of uneven net effect, larger on rare and on the plateau"),
        (
            "closure.neurons-uneven",
            change(WIDE, scatter=0.3),
            ClosureDials(net_class_sd=0.2, net_shift=0.3),
            "the same, more unlike between the classes, every neuron's loss increase far larger on rare",
        ),
        (
            "closure.neurons-few-documents",
            Dials(documents=40, pairs=12, neurons=480, law="Weibull", covariate_link=0.0),
            ClosureDials(),
            "40 documents of 12 pairs",
        ),
        ("closure.heads", many, ClosureDials(), "40 heads, each hurting one class more, all hurting rare more"),
        ("closure.heads-alike", many, alike, "40 heads, alike for both classes but that all hurt rare more"),
    ]
    powers = [
        *(("closure", x, WIDE, "net share that the plateau has more on rare") for x in (0.1, 0.2, 0.3, 0.5)),
        *(("routing", x, many, "relative excess of the top heads' increase on rare") for x in (0.5, 1.0, 2.0)),
    ]
    large = change(many, documents=160, heads=80)
    designs = [
        ("large.closure", large, alike, "no effect, 160 documents, 80 heads alike for both classes", "", 0.0),
        (
            "edge.closure",
            large,
            change(alike, routing=0.3),
            "the top heads' increase just at the margin, 160 documents",
            "routing",
            0.3,
        ),
    ]
    made = []
    for name, world, dials, says in nulls:
        of_neurons = "neurons" in name
        pieces = ON_INFLUENCE if of_neurons else ON_HEADS
        tested = neurons if of_neurons else heads
        made.append(Scenario(name, "null", world, pieces, tested, says, share=1.0, closure=dials))
    for dial, strength, world, says in powers:
        tested, pieces = (neurons, ON_INFLUENCE) if dial == "closure" else (heads, ON_HEADS)
        given: dict[str, Any] = {dial: strength}
        name = f"{tested[0]}@{dial}={strength:g}"
        made.append(
            Scenario(name, "power", world, pieces, tested, says, dial, strength, closure=ClosureDials(**given))
        )
    for name, world, dials, says, dial, strength in designs:
        made.append(Scenario(name, "design", world, ON_HEADS, heads, says, dial, strength, closure=dials))
    return made


SCENARIOS: dict[str, Scenario] = {s.name: s for s in (*_nulls(), *_powers(), *_designs(), *_closures())}


def choose(hypotheses: Sequence[str] = (), scenarios: Sequence[str] = ()) -> list[Scenario]:
    """Scenarios that test any of the hypotheses (ids or families) and whose name begins with one of those given.

    Raises
    ------
    InputError
        For a name that matches nothing.
    """
    known = sorted({h for s in SCENARIOS.values() for h in s.hypotheses})
    for asked in hypotheses:
        if not any(_is(asked, h) for h in known):
            raise InputError(f"no calibration for hypothesis {asked!r}", "ID", f"known: {', '.join(known)}")
    for asked in scenarios:
        if not any(name.startswith(asked) for name in SCENARIOS):
            raise InputError(f"no scenario {asked!r}", "--scenario", f"known: {', '.join(SCENARIOS)}")
    chosen = []
    for scenario in SCENARIOS.values():
        kept = tuple(h for h in scenario.hypotheses if not hypotheses or any(_is(asked, h) for asked in hypotheses))
        if kept and (not scenarios or any(scenario.name.startswith(asked) for asked in scenarios)):
            chosen.append(dataclasses.replace(scenario, hypotheses=kept))
    if not chosen:
        raise InputError("no scenario tests these hypotheses", "--scenario", "leave --scenario out")
    return chosen


def _is(asked: str, hypothesis: str) -> bool:
    return asked in (hypothesis, hypothesis.split(".")[0])
