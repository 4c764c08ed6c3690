"""Results made up in code for the tests of the report: every section filled, no model run, numbers without meaning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sample_cards import (
    CARDS,
    CODE_PROSE,
    EMERGENCE,
    ENTROPY,
    GRAY,
    HEADLINES,
    LIU,
    RARE_COMMON,
)
from sample_cards import (
    plateau as plateau_card,
)
from sample_exhibits import balance, curves, graphs, head_map, members, multiverse, nulls, set_effects

from neuronull.hypotheses.member_cards import Members, PairCard
from neuronull.hypotheses.result import (
    ClaimVerdict,
    Curve,
    Details,
    Finding,
    HypothesisCard,
    Kind,
    OutputRow,
    Result,
    Role,
    Setup,
    Verdict,
)

T_99 = 1.66


def sample_result(
    model: str = "docs-gpt2",
    *,
    seed: int = 0,
    corpus: str = "docs",
    replicates: int = 999,
    shift: float = 0.0,
    plateau: int = 26,
) -> Result:
    """A whole result: three claims, all roles, kinds and verdicts, curves, heads, graphs, balance, controls."""
    rng = np.random.default_rng(seed)
    make = _Maker(model, corpus, replicates, seed, rng)
    findings = [
        *_regimes(make, shift),
        *_clusters(make, shift),
        *_routing(make, shift, rng),
        make.primary(
            "coordination.dimension",
            Kind.PRESENCE,
            "matched_sets",
            0.19 + shift,
            0.05,
            0.1,
            unit="log ratio",
            verdict=Verdict.SUPPORTED,
            claim="Plateau activations have reduced effective dimension.",
            details={"further": {"components_95_plateau": 14, "components_95_matched": 19.4}},
        ),
        *_controls(make),
    ]
    return Result(
        setup=_setup(model, corpus, replicates, seed, plateau),
        papers=[LIU],
        sets=[plateau_card(plateau)],
        hypotheses=[card.model_copy(deep=True) for card in CARDS],
        claims=_claims(),
        findings=findings,
        left_out={
            "emergence.trend": "needs training checkpoints; docs-gpt2 has none",
            "routing.closure": "not in the default suite; --only routing.closure runs it",
            "specialists.closure": "not in the default suite; --only specialists.closure runs it",
        },
        warnings=["Counts were taken from the corpus that is tested (--counts): ranks of the rarest tokens are rough."],
        curves=curves(rng, 1536, plateau),
        head_map=head_map(findings),
        graphs=graphs(rng, plateau),
        nulls=nulls(),
        set_effects=set_effects(np.random.default_rng(seed + 2)),
        members=members(),
        multiverse=multiverse(findings, np.random.default_rng(seed + 1)),
        balance=balance(),
        provenance={
            "command": f"neuronull run --model {model} --replicates {replicates}",
            "started": "2026-11-22T15:00:00Z",
            "host": "workbench",
            "plan": {"sha256": "5d41" * 16, "frozen": False, "covers": "options, hypotheses, seeds", "declared": {}},
            "device": "cpu",
            "durations": {"load": 1.2, "influence": 31.4, "heads": 18.9, "nulls": 22.0},
        },
    )


class _Maker:
    """Builds findings that share a set-up."""

    def __init__(
        self, model: str, corpus: str, replicates: int, seed: int, rng: np.random.Generator, **more: object
    ) -> None:
        self.model, self.corpus, self.replicates, self.seed, self.rng = model, corpus, replicates, seed, rng
        self.more = more

    def row(self, hypothesis: str, kind: Kind, role: Role, null: str | None, **more: object) -> Finding:
        fields: dict[str, object] = {
            "hypothesis": hypothesis,
            "family": hypothesis.split(".")[0],
            "claim": "",
            "kind": kind,
            "role": role,
            "model": self.model,
            "layer": 3,
            "corpus": self.corpus,
            "estimator": hypothesis.replace(".", "_"),
            "unit": "correlation",
            "conditioning": "target",
            "threshold": 0.15,
            "ablation": "mean",
            "plateau": ".017",
            "null_model": null,
            "alpha": 0.05,
            "seed": self.seed,
            "n_documents": 200,
            "n_positions": 38412,
            "n_neurons": 1536,
        }
        return Finding(**{**fields, **self.more, **more})

    def draws(self, sd: float) -> list[float]:
        return [float(v) for v in np.round(self.rng.normal(0, sd, self.replicates), 9)]

    def tested(self, estimate: float, sd: float, two_sided: bool = False) -> dict[str, object]:
        draws = self.draws(sd)
        above = (1 + sum(d >= estimate for d in draws)) / (1 + self.replicates)
        p = min(1.0, 2 * min(above, 1 - above + 1 / (1 + self.replicates))) if two_sided else above
        return {
            "null_draws": draws,
            "replicates": self.replicates,
            "null_mean": float(np.mean(draws)),
            "null_sd": float(np.std(draws)),
            "p_value": p,
            "p_low": max(0.0, p - 0.01),
            "p_high": min(1.0, p + 0.02),
        }

    def primary(
        self,
        hypothesis: str,
        kind: Kind,
        null: str,
        estimate: float,
        se: float,
        margin: float,
        *,
        verdict: Verdict,
        two_sided: bool = False,
        **more: object,
    ) -> Finding:
        test = self.tested(estimate, se, two_sided)
        p = float(test["p_value"])  # type: ignore[arg-type]
        fields: dict[str, object] = {
            "estimate": estimate,
            "ci_low": estimate - 1.98 * 0.9 * se,
            "ci_high": estimate + 1.98 * 0.9 * se,
            "ci_level": 0.95,
            "verdict_low": estimate - T_99 * se,
            "verdict_high": estimate + T_99 * se,
            "margin": margin,
            "margin_means": "two blocks that share 5 % more variance inside than across" if margin == 0.05 else "",
            "effect_size": estimate / se / 14.1,
            "effect_size_name": "Cohen's d",
            "p_adjusted": min(1.0, 2 * p),
            "q_value": min(1.0, 1.5 * p),
            "p_equivalence": 0.012,
            "minimal_detectable_effect": 2.8 * se + margin,
            "smallest_supportable_margin": 2.49 * se,
            "verdict": verdict,
            "two_sided": two_sided,
            **test,
        }
        made = self.row(hypothesis, kind, Role.PRIMARY, null, **{**fields, **more})
        made.details = made.details.model_copy(update={"se": se})
        return made

    def sensitivity(
        self, hypothesis: str, kind: Kind, null: str, estimate: float, sd: float, **more: object
    ) -> Finding:
        fields = {
            "estimate": estimate,
            "ci_low": estimate - 2 * sd,
            "ci_high": estimate + 2 * sd,
            "ci_level": 0.95,
            **self.tested(estimate, sd),
        }
        return self.row(hypothesis, kind, Role.SENSITIVITY, null, **{**fields, **more})


def _regimes(make: _Maker, shift: float) -> list[Finding]:
    contrast = make.primary(
        "regimes.contrast",
        Kind.PRESENCE,
        "document_swaps+neuron_swaps",
        0.06 + shift,
        0.09,
        0.1,
        unit="curve bend",
        two_sided=True,
        verdict=Verdict.UNDETERMINED,
        margin_means="a tenth of the middle band's slope",
        null_draws=[],
        claim="The rare curve bends differently from the common one.",
        sentence="The two curves bend alike within what 200 documents can tell.",
        details={
            "enough": {
                "null_sd": 0.244,
                "smallest_margin": 0.607,
                "larger": "a larger set of neurons or a wider model",
            },
            "calibration": "on null data this test rejected 4.6 % [4.0, 5.3] at 5 % (R = 4,000, scenario plain)",
            "further": {"components": {"bend_rare": 0.31, "bend_common": 0.25}},
        },
    )
    selectivity = make.primary(
        "regimes.selectivity",
        Kind.PRESENCE,
        "document_swaps+neuron_swaps",
        0.412 + shift,
        0.031,
        0.05,
        unit="log ratio",
        verdict=Verdict.SUPPORTED,
        margin_means="5 % more influence",
        null_draws=[],
        claim="Rare tokens have specialists that common tokens have not.",
        sentence="The rare plateau works 1.5 times as hard for rare tokens as for common ones.",
        details={
            "further": {"log_ratio_rare_plateau": 0.23, "log_ratio_common_plateau": 0.182},
            "why": "both nulls reject",
        },
    )
    return [
        contrast,
        make.sensitivity("regimes.contrast", Kind.PRESENCE, "document_swaps", 0.06 + shift, 0.08, unit="curve bend"),
        make.sensitivity("regimes.contrast", Kind.PRESENCE, "neuron_swaps", 0.06 + shift, 0.09, unit="curve bend"),
        selectivity,
        make.sensitivity("regimes.selectivity", Kind.PRESENCE, "document_swaps", 0.412 + shift, 0.03, unit="log ratio"),
        make.sensitivity("regimes.selectivity", Kind.PRESENCE, "neuron_swaps", 0.412 + shift, 0.05, unit="log ratio"),
        make.sensitivity("regimes.selectivity", Kind.PRESENCE, "matched_sets", 0.33 + shift, 0.06, unit="log ratio"),
        make.sensitivity("regimes.recruitment", Kind.PRESENCE, "document_swaps", -0.021, 0.02, unit="log ratio"),
    ]


def _clusters(make: _Maker, shift: float) -> list[Finding]:
    return [
        make.primary(
            "clusters.within",
            Kind.ABSENCE,
            "matched_sets",
            0.004 + shift / 10,
            0.0085,
            0.05,
            verdict=Verdict.SUPPORTED,
            claim="Plateau neurons have no more internal modules than ordinary neurons.",
            sentence="No modules as strong as two blocks sharing 5 % more variance.",
        ),
        make.sensitivity("clusters.within", Kind.ABSENCE, "document_permuted", 0.031, 0.006),
        make.sensitivity("clusters.within", Kind.ABSENCE, "hqs", 0.012, 0.011),
        make.sensitivity("clusters.within", Kind.ABSENCE, "correlation_cm", 0.009, 0.013),
        make.primary(
            "clusters.cohesion",
            Kind.ABSENCE,
            "matched_sets",
            0.011,
            0.013,
            0.05,
            unit="Fisher z",
            verdict=Verdict.SUPPORTED,
            claim="The plateau is not itself a module of the layer.",
            sentence="The plateau is no more of a group than sets of ordinary neurons.",
        ),
        make.sensitivity("clusters.rewired", Kind.ABSENCE, "rewired", 0.081, 0.012, unit="delta Q"),
        make.sensitivity("clusters.rewired", Kind.ABSENCE, "matched_sets", 0.006, 0.014, unit="delta Q"),
    ]


def _routing(make: _Maker, shift: float, rng: np.random.Generator) -> list[Finding]:
    margin = float(np.log(1.25))
    heads = []
    for layer in range(4):
        for head in range(6):
            value, se = float(np.round(rng.normal(0.02, 0.06), 6)), 0.05 + 0.004 * head
            if (layer, head) == (2, 4):
                value = 0.12 + shift
            heads.append(
                OutputRow(
                    name=f"{layer}.{head}",
                    layer=layer,
                    head=head,
                    estimate=value,
                    low=value - 2 * se,
                    high=value + 2 * se,
                    p_adjusted=0.08 if (layer, head) == (2, 4) else 0.6,
                    verdict="undetermined",
                )
            )
    worst = max(heads, key=lambda h: h.high)
    return [
        make.primary(
            "routing.heads",
            Kind.ABSENCE,
            "document_swaps",
            0.12 + shift,
            0.103,
            margin,
            unit="log ratio",
            verdict=Verdict.UNDETERMINED,
            claim="No head acts preferentially on the plateau for rare tokens.",
            verdict_low=worst.low,
            verdict_high=worst.high,
            margin_means="a quarter more effect",
            sentence="Head 2.4 may favour the plateau; smallest effect this run could have excluded: .31.",
            details={"per_output": heads, "enough": {"documents": 480, "margin": 0.22314}},
        ),
        make.primary(
            "routing.profile",
            Kind.ABSENCE,
            "document_swaps",
            0.031,
            0.018,
            0.1,
            unit="1 - correlation",
            verdict=Verdict.SUPPORTED,
            claim="Heads act alike for rare and common tokens.",
            sentence="The same heads drive the plateau for rare and common tokens.",
        ),
        make.row(
            "routing.closure",
            Kind.ABSENCE,
            Role.PRIMARY,
            None,
            verdict=Verdict.NOT_RUN,
            notes="not in the default suite",
        ),
    ]


def _claims() -> list[ClaimVerdict]:
    claims = [
        ClaimVerdict(
            number=1,
            title="rare tokens have a regime of their own",
            verdict=Verdict.UNDETERMINED,
            sentence="1 of 2 hypotheses could not decide",
            hypotheses=["regimes.contrast", "regimes.selectivity"],
        ),
        ClaimVerdict(
            number=2,
            title="plateau neurons form no modular clusters",
            verdict=Verdict.SUPPORTED,
            sentence="effects of the stated size are excluded",
            hypotheses=["clusters.within", "clusters.cohesion"],
        ),
        ClaimVerdict(
            number=3,
            title="attention does not route to them",
            verdict=Verdict.UNDETERMINED,
            sentence="480 documents would be enough",
            hypotheses=["routing.heads", "routing.profile"],
        ),
    ]
    return [c.model_copy(update={"paper": "liu2025", "headline": HEADLINES[c.number][c.verdict]}) for c in claims]


def _controls(make: _Maker) -> list[Finding]:
    notes = {
        "control.random_init": "passed: nothing found in the untrained model (smallest p = .21)",
        "control.permuted_labels": "passed: nothing found with shuffled labels (smallest p = .34)",
        "control.unreachable_heads": "passed: 0 of 0 unreachable heads have any effect",
        "control.whole_layer": "failed: ablating layer 3 changes loss by only .02 nats",
    }
    return [make.row(name, Kind.CONTROL, Role.CONTROL, None, notes=note) for name, note in notes.items()]


def _setup(model: str, corpus: str, replicates: int, seed: int, plateau: int) -> Setup:
    return Setup(
        model=model,
        revision=None,
        architecture="gpt2",
        layer=3,
        corpus=corpus,
        conditioning="target",
        threshold=0.15,
        elbow=None,
        ablation="mean",
        plateau=".017",
        n_head=plateau,
        conditions=RARE_COMMON,
        dtype="float32",
        model_hash="a3" * 32,
        corpus_hash="5f" * 32,
        counts_hash="0c" * 32,
        n_documents=200,
        n_positions=38412,
        n_pairs=5120,
        n_neurons=1536,
        replicates=replicates,
        alpha=0.05,
        seed=seed,
        audit_entries=256,
        audit_max_abs_error=3.1e-7,
        versions={"neuronull": "0.1.0", "numpy": "2.4.6", "python": "3.11.7", "torch": "2.13.0"},
    )


GOLDEN = Path(__file__).with_name("golden")

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "a|b\\|c",
    "50% & #1 $x^2_i$ ~{}\\input{/etc/passwd}",
    "`code` *bold* _em_ [link](http://evil.example) ![x](http://evil.example/x.png)",
    "{{ 7 * 7 }} {% raw %}",
    "line\nbreak \u4e2d\u6587 \U0001f600 e\u0301 \x00\x1b[31m",
    "- list",
    "&lt;b&gt; &#60;",
)


def hostile_result() -> Result:
    """A result in which every piece of foreign text tries to be markup."""
    script, image, *_ = HOSTILE
    every = " ".join(HOSTILE)
    result = sample_result(image, corpus=script, replicates=19)
    row = result.findings[0]
    own = {
        "hypothesis": f"mine.{image}",
        "family": "mine",
        "claim": every,
        "sentence": every,
        "notes": every,
        "unit": script,
    }
    further = {script: 1.5, "text": image, "nested": {image: 2}, "note": every, "words": [script, every]}
    details = Details(further=further, coverage_warning=every, calibration=every, nulls_left_out={image: every})
    result.findings.append(
        row.model_copy(update={**own, "null_model": image, "margin_means": every, "details": details})
    )
    result.papers.append(LIU.model_copy(update=_hostile_paper(script, image, every)))
    said = {"title": image, "asks": every, "measured": every, "plus": every, "minus": every, "none": every}
    result.hypotheses.append(HypothesisCard(id=f"mine.{image}", set=script, bibtex=[every], **said))
    result.sets.append(ENTROPY.model_copy(update={"name": script, "rule": every}))
    result.setup.conditions = CODE_PROSE.model_copy(update={"rule": every}, deep=True)
    result.setup.conditions.a.name, result.setup.conditions.b.phrase = script, image
    result.left_out[image] = every
    result.warnings.append(every)
    result.claims[0] = result.claims[0].model_copy(
        update={"title": script, "sentence": every, "hypotheses": [row.hypothesis]}
    )
    foreign = {"number": 9, "hypotheses": [f"mine.{image}"], "paper": image, "headline": every}
    result.claims.append(result.claims[0].model_copy(update=foreign))
    foreign = {"name": image, "origin": script, "randomises": every, "preserves": [every], "breaks": [image]}
    result.nulls[0] = result.nulls[0].model_copy(
        update={
            **foreign,
            "exchangeable": every,
            "reference": every,
            "says": every,
            "caveat": every,
            "diagnostics": {image: {script: every}},
        }
    )
    result.set_effects[0] = result.set_effects[0].model_copy(update={"effect": image, "label": script})
    result.multiverse.varied[script], result.multiverse.means[script] = [image], every
    for universe in result.multiverse.universes:
        universe.settings[script] = image
        universe.outcomes[0:1] = [o.model_copy(update={"hypothesis": f"mine.{image}"}) for o in universe.outcomes[:1]]
    result.multiverse.universes[-1].why_not = every
    result.members = _hostile_members(result.members, script, image, every)
    result.curves[0] = result.curves[0].model_copy(update={"label": every})
    result.graphs[0] = result.graphs[0].model_copy(update={"label": script})
    result.balance[0] = result.balance[0].model_copy(update={"label": image, "rows": [(script, 0.3), ("$x$", 0.1)]})
    result.setup.versions[script] = image
    result.provenance = {"command": ["neuronull", "run", script], script: {image: [every]}}
    return result


def _hostile_members(members: Members, script: str, image: str, every: str) -> Members:
    place = members.pairs[0].a.model_copy(update={"before": script, "token": every, "after": image})
    neuron = members.neurons[0]
    foreign = {"contexts": [place], "raised": [script, every], "lowered": [image]}
    foreign["influence"] = dict.fromkeys((script, image), neuron.influence["rare"])
    return members.model_copy(
        update={
            "set": script,
            "neurons": [neuron.model_copy(update=foreign)],
            "pairs": [PairCard(a=place, b=place)],
            "heads": [members.heads[0].model_copy(update={"effect": {script: 0.1, every: 0.2}})],
        }
    )


def _hostile_paper(script: str, image: str, every: str) -> dict[str, object]:
    texts = {"short": script, "citation": every, "link": "javascript:alert(1)", "about": image, "summary": every}
    return {"id": image, **texts, "bibtex": [f"```\n{every}"], "limits": [(script, every)], "terms": [(image, every)]}


def two_papers(**given: object) -> Result:
    """Claims of two papers; the second shares a hypothesis with the first, and has one of its own."""
    result = sample_result(**given)
    result.papers.append(EMERGENCE)
    shared = ["coordination.dimension", "clusters.within"]
    result.claims.append(
        ClaimVerdict(
            paper=EMERGENCE.id,
            number=1,
            title="these neurons work together",
            verdict=Verdict.SUPPORTED,
            headline="The neurons that matter most for rare words work together.",
            sentence="an effect was found",
            hypotheses=shared,
        )
    )
    for universe in result.multiverse.universes[:-1]:
        universe.claims[f"{EMERGENCE.id}:1"] = Verdict.SUPPORTED
    next(card for card in result.hypotheses if card.id == "clusters.within").papers.append(EMERGENCE.id)
    return result


def own_result(*, replicates: int = 99) -> Result:
    """Conditions, set and hypotheses of a reader's own: one claim of a small paper, and one hypothesis of no paper."""
    rng = np.random.default_rng(4)
    make = _Maker("their-model", "notes", replicates, 0, rng, threshold=None, plateau=ENTROPY.name)
    cards = [
        HypothesisCard(
            id="norms.large",
            papers=[GRAY.id],
            title="Large norms",
            asks="Do entropy neurons have larger norms?",
            plus="entropy neurons have larger norms than others",
            minus="entropy neurons have smaller norms than others",
            none="entropy neurons have the norms of others",
            set=ENTROPY.name,
            figures=["curves", "effects"],
        ),
        HypothesisCard(id="mine.counsel", title="Keeping counsel", set=ENTROPY.name, figures=["curves", "balance"]),
    ]
    given = {"unit": "sd", "verdict": Verdict.SUPPORTED, "margin_means": "", "claim": "Entropy neurons are large."}
    own = {**given, "claim": "Entropy neurons keep counsel.", "sentence": "Entropy neurons keep counsel. Supported."}
    kind, null = Kind.PRESENCE, "random_sets"
    curve = {"rank": [1, 2, 4, 8, 16, 40], "influence": [0.5, 0.4, 0.3, 0.2, 0.1, 0.02], "head": 11}
    effects = [e.model_copy(update={"label": name}) for e in set_effects(rng)[:2] for name in ("code", "prose")]
    base = _setup("their-model", "notes", replicates, 0, ENTROPY.size)
    changes = {"conditions": CODE_PROSE, "threshold": None, "plateau": ENTROPY.name}
    return Result(
        setup=base.model_copy(update=changes),
        papers=[GRAY],
        sets=[ENTROPY],
        hypotheses=cards,
        claims=[
            ClaimVerdict(
                paper=GRAY.id,
                number=1,
                title="entropy neurons are large",
                verdict=Verdict.SUPPORTED,
                headline="Entropy neurons are larger than others.",
                sentence="an effect was found",
                hypotheses=["norms.large"],
            )
        ],
        findings=[
            make.primary("norms.large", kind, null, 0.8, 0.1, 0.5, **given),
            make.primary("mine.counsel", kind, null, 0.9, 0.1, 0.5, **own),
        ],
        curves=[Curve(label=name, **curve) for name in ("code", "prose")],
        set_effects=effects,
        balance=[balance()[0].model_copy(update={"label": "entropy neurons against their strata"})],
    )


def write_golden() -> None:
    """Write the golden files anew, after a change that was wanted."""
    from neuronull.reports import files, latex, load_result, markdown, summary

    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / "result.json").write_text(files.result_json(sample_result(replicates=99, plateau=8)))
    stored = load_result(GOLDEN / "result.json")
    (GOLDEN / "report.md").write_text(markdown.render(stored))
    (GOLDEN / "table.tex").write_text(latex.render(stored))
    (GOLDEN / "terminal.txt").write_text(summary(stored, "run/report.html") + "\n")


if __name__ == "__main__":
    write_golden()
