"""Figure data of results made up in code: null models, universes, curves, maps and graphs, numbers without meaning."""

from __future__ import annotations

from itertools import product

import numpy as np
from sample_cards import MASLOV2002, NULL_SAYS, REWIRING

from neuronull.hypotheses.member_cards import HeadCard, Mean, Members, NeuronCard, PairCard, Snippet
from neuronull.hypotheses.result import (
    Balance,
    Certificate,
    Curve,
    Finding,
    GraphTwin,
    HeadMap,
    Multiverse,
    NullSummary,
    Outcome,
    Role,
    SetEffect,
    Universe,
    Verdict,
)
from neuronull.hypotheses.upgrade import SETTINGS_MEAN


def nulls() -> list[NullSummary]:
    versions = {"python": "3.11.7", "neuronull": "0.1.0"}
    return [
        NullSummary(
            name="matched_sets",
            origin="built in",
            randomises="neurons",
            preserves=["size of the sets", "covariates up to strata"],
            breaks=["which neurons form the plateau"],
            exchangeable="neurons of one stratum",
            reference="Good (2005), chapter 6",
            when="The question that the claim asks.",
            says=NULL_SAYS["matched_sets"],
            hypotheses=["clusters.within", "clusters.cohesion"],
            diagnostics={h: {"strata": 4, "smallest": 380} for h in ("clusters.within", "clusters.cohesion")},
            certificate=Certificate(run=17, failed=[], skipped=[], versions=versions),
        ),
        NullSummary(
            name="shuffled_layers",
            origin="package neuronull-shuffled-layers 0.1.0",
            randomises="neurons",
            preserves=["how many neurons a set holds"],
            breaks=["which neurons form the plateau"],
            exchangeable="all neurons of the layer",
            reference="the classical permutation null",
            when="",
            hypotheses=["clusters.weights"],
            diagnostics={
                "clusters.weights": {"edges_left": [1.0, 0.42, 0.3, 0.26], "t_eff": [211.3, 208.4], "fine": True}
            },
            certificate=Certificate(run=16, failed=["seeds", "batch"], skipped=["uniform"], versions=versions),
        ),
        *(_plain(name, says) for name, says in NULL_SAYS.items() if name != "matched_sets"),
    ]


def _plain(name: str, says: str) -> NullSummary:
    """A null model of which only its sentence is told, and its caveat where it has one."""
    return NullSummary(
        name=name,
        origin="built in",
        randomises="labels",
        preserves=[],
        breaks=[],
        exchangeable="",
        reference="",
        when="",
        says=says,
        caveat=REWIRING if name == "rewired" else "",
        bibtex=[MASLOV2002] if name == "rewired" else [],
        hypotheses=[],
    )


def multiverse(findings: list[Finding], rng: np.random.Generator) -> Multiverse:
    """Twelve universes with every verdict, the last one of them without any; resolution bears on one hypothesis."""
    varied = {"threshold": [".15", ".3"], "plateau": [".017", "knot"], "resolution": ["1", ".5", "1.5"]}
    every = product(*varied.values())
    universes = []
    for i, values in enumerate(every):
        universe = Universe(settings=dict(zip(varied, values, strict=True)), own=i == 0)
        for f in (f for f in findings if f.role is Role.PRIMARY and f.estimate is not None):
            shift = 0.0 if i == 0 else float(rng.normal(0, 0.02))
            odd = {3: Verdict.REFUTED, 4: Verdict.UNDETERMINED, 6: Verdict.UNDETERMINED, 8: Verdict.REFUTED}
            universe.outcomes.append(
                Outcome(
                    hypothesis=f.hypothesis,
                    estimate=f.estimate + shift,
                    verdict_low=f.verdict_low + shift,
                    verdict_high=f.verdict_high + shift,
                    p_value=f.p_value,
                    p_adjusted=f.p_adjusted,
                    verdict=odd.get(i, f.verdict),
                )
            )
        universe.claims = {f"liu2025:{n}": Verdict.UNDETERMINED for n in (1, 2, 3)}
        universe.claims["liu2025:2"] = Verdict.REFUTED if i in (3, 8) else Verdict.SUPPORTED
        universes.append(universe)
    universes[-1] = Universe(
        settings=universes[-1].settings, own=False, why_not="half 1 has 1 documents with a matched pair"
    )
    means = {name: SETTINGS_MEAN[name] for name in varied}
    return Multiverse(
        varied=varied, means=means, replicates=199, bears_on={"resolution": ["clusters.within"]}, universes=universes
    )


def set_effects(rng: np.random.Generator) -> list[SetEffect]:
    """Five effects on two classes, of either sign."""
    effects = []
    sizes = {"loss": 0.02, "entropy": 0.05, "unigram": -0.06, "direct": 0.008, "frequency": 0.017}
    for effect, size in sizes.items():
        for label, of_class in (("rare", 1.0), ("common", 0.4)):
            mean, reach = size * of_class + float(rng.normal(0, 0.001)), 0.004 * of_class
            left = mean / (0.02 * of_class) if effect in ("direct", "frequency") else None
            effects.append(
                SetEffect(
                    effect=effect,
                    label=label,
                    mean=mean,
                    low=mean - reach,
                    high=mean + reach,
                    level=0.95,
                    strata=mean / 9,
                    left=left,
                )
            )
    return effects


def members() -> Members:
    """Two of three neurons, two pairs, a head."""
    place = Snippet(document=3, position=41, before="the cat sat on\nthe", token=" mat", after=" and slept", value=4.25)
    mean = {"rare": Mean(mean=0.0751, low=0.0706, high=0.0796), "common": Mean(mean=0.0513, low=0.0479, high=0.0547)}
    sure = NeuronCard(
        neuron=895, halves=[0, 1], splits=1.0, influence=mean, raised=[" the", "ing"], lowered=["\n", "\n  "],
        contexts=[place],
    )  # fmt: skip
    unsure = sure.model_copy(update={"neuron": 12, "halves": [1], "splits": 0.425, "raised": [], "lowered": []})
    other = place.model_copy(update={"token": " on", "value": 4.1})
    pairs = [PairCard(a=place, b=other), PairCard(a=other, b=place)]
    head = HeadCard(layer=0, head=3, effect={"rare": 0.1312, "common": 0.0961})
    return Members(set="plateau", size=3, both=1, splits=20, neurons=[sure, unsure], pairs=pairs, heads=[head])


def curves(rng: np.random.Generator, neurons: int, plateau: int) -> list[Curve]:
    rank = sorted({int(r) for r in np.geomspace(1, neurons, 120)})
    curves = []
    for label, top, slope in (("rare", 0.055, 0.42), ("common", 0.021, 0.47)):
        x = np.asarray(rank, dtype=float)
        level = (
            top
            * np.minimum(1.0, (x / plateau) ** -slope)
            * np.exp(-((x / neurons) ** 6) * 2.2)
            * np.exp(rng.normal(0, 0.01, len(x)))
        )
        level = np.sort(level)[::-1]
        curves.append(
            Curve(
                label=label,
                rank=rank,
                influence=[float(v) for v in level],
                low=[float(v) for v in 0.88 * level],
                high=[float(v) for v in 1.13 * level],
                knots=[float(plateau), 6.0 * plateau],
                knots_low=[float(plateau) - 2, 5.0 * plateau],
                knots_high=[float(plateau) + 3, 8.0 * plateau],
                knots_sought=(4, 1375),
                head=plateau,
            )
        )
    return curves


def head_map(findings: list[Finding]) -> HeadMap:
    heads = next(f for f in findings if f.hypothesis == "routing.heads").details.per_output
    reachable = [row.layer < 3 or row.head != 5 for row in heads]
    minor = [row.head == 0 and row.layer == 0 for row in heads]
    keep = [r and not m for r, m in zip(reachable, minor, strict=True)]
    return HeadMap(
        layer=[r.layer for r in heads],
        head=[r.head for r in heads],
        reachable=reachable,
        value=[r.estimate if k else None for r, k in zip(heads, keep, strict=True)],
        low=[r.low if k else None for r, k in zip(heads, keep, strict=True)],
        high=[r.high if k else None for r, k in zip(heads, keep, strict=True)],
        effect=[0.2 if r else 0.0 for r in reachable],
        note=["minor" if m else "" for m in minor],
    )


def graphs(rng: np.random.Generator, plateau: int) -> list[GraphTwin]:
    twins = []
    for label in ("plateau", "rewired", "random set"):
        nodes = sorted(int(v) for v in rng.choice(1536, plateau, replace=False))
        group = [i % 3 for i in range(plateau)]
        edges = []
        for i in range(plateau):
            for j in range(i + 1, plateau):
                together = 0.12 if group[i] == group[j] and label == "plateau" else 0.0
                edges.append((i, j, float(np.round(rng.normal(0.04 + together, 0.09), 5))))
        twins.append(
            GraphTwin(label=label, nodes=nodes, community=group, edges=edges, modularity=0.08 + 0.01 * len(twins))
        )
    return twins


def balance() -> list[Balance]:
    return [
        Balance(
            label="plateau against its strata",
            rows=[
                ("mean absolute activation", 0.11),
                ("sd", 0.19),
                ("kurtosis", -0.08),
                ("sparsity", 0.31),
                ("output weight norm", 0.04),
                ("weak-direction share", -0.14),
                ("token-frequency share", 0.02),
            ],
        ),
        Balance(label="rare against common positions", rows=[("baseline loss", 0.09), ("position", -0.03)]),
    ]
