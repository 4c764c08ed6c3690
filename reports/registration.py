"""A frozen plan as text to paste into a registration, in the order of the OSF's preregistration form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..hypotheses.words import fill

if TYPE_CHECKING:
    from ..hypotheses.frozen_plan import FrozenPlan
    from ..hypotheses.words import Words

_YOURS = "*To be filled in by you: the program cannot know it.*"
_KINDS = {
    "Presence": "claims that something is there; supported if p, adjusted for the family, is below {alpha} and the "
    "interval does not lie whole under the margin; refuted if the whole interval lies under the margin",
    "Absence": "claims that something is absent; supported if the whole interval lies under the margin (equivalence); "
    "refuted if p is below {alpha} and the whole interval lies beyond the margin",
    "Sensitivity": "shown beside the others; decides nothing by itself",
}


def registration(plan: FrozenPlan, words: Mapping[str, Words]) -> str:
    """Return the plan as Markdown, one heading for each field of the form; `words` are those of its hypotheses."""
    declared = plan.declared
    measure, tests = declared["measure"], declared["tests"]
    parts = [
        ("Title", _YOURS),
        ("Description", _description(plan)),
        ("Hypotheses", "\n\n".join(_hypothesis(one, words, tests["alpha"]) for one in declared["hypotheses"])),
        ("Study type", "Observational study of a trained language model; text is fed to it, and parts are ablated."),
        ("Blinding", "None. Whatever is chosen (ranks, sets) is chosen on one half of the documents and tested on the "
         "other."),
        ("Study design", _fields(measure)),
        ("Randomization", f"Everything random follows from seed {tests['seed']}."),
        ("Existing data", _YOURS),
        ("Explanation of existing data", _YOURS),
        ("Data collection procedures", _inputs(plan)),
        ("Sample size", _size(measure)),
        ("Sample size rationale", _YOURS),
        ("Stopping rule", "All documents are measured; nothing is looked at before the last one."),
        ("Manipulated variables", _manipulated(measure)),
        ("Measured variables", _statistics(declared["hypotheses"], words)),
        ("Indices", "None beyond the measured variables."),
        ("Statistical models", _nulls(declared["hypotheses"], tests)),
        ("Transformations", "As docs/methods.md says for each statistic; no other."),
        ("Inference criteria", _criteria(tests)),
        ("Data exclusion", "Documents shorter than half the context; the first positions of a document; special tokens "
         "(docs/methods.md)."),
        ("Missing data", "A hypothesis whose data cannot be had is reported as not run, with the reason."),
        ("Exploratory analysis", _exploratory(declared["hypotheses"], tests)),
        ("Other", f"neuronull {declared['versions']['neuronull']}. Plan frozen {plan.frozen}, SHA-256 "
         f"`{plan.sha256}`. `neuronull run --plan` refuses whatever differs."),
    ]  # fmt: skip
    return "\n\n".join(["# Preregistration", *(f"## {title}\n\n{text}" for title, text in parts)]) + "\n"


def _description(plan: FrozenPlan) -> str:
    papers = ", ".join(plan.declared["papers"]) or "no paper"
    subject = plan.declared["measure"].get("model", "measurements that are there already")
    return f"The claims of {papers} are tested on {subject}."


def _hypothesis(one: Mapping[str, Any], words: Mapping[str, Words], alpha: float) -> str:
    known = words.get(one["id"])
    criterion = one["criterion"]
    kind = str(criterion["class"]).rsplit(".", 1)[-1]
    margin = criterion.get("margin")
    told = "" if margin is None else f" Margin: {margin:.4g} {criterion.get('unit') or ''}".rstrip()
    means = f" ({criterion['means']})" if criterion.get("means") else ""
    rule = _KINDS.get(kind, kind).format(alpha=alpha)
    name = str(one["set"].get("name", "tested")) if isinstance(one["set"], Mapping) else str(one["set"])
    text = fill(f"{one['claim']} {known.asks if known else ''}", name, "the first condition", "the second condition")
    return f"**{one['id']}** ({kind.lower()}): {text}\n{rule[:1].upper()}{rule[1:]}.{told}{means}"


def _fields(measure: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name.replace('_', ' ')}: {_cell(value)}" for name, value in measure.items())


def _cell(value: Any) -> str:
    return "none" if value is None else f"`{value}`" if isinstance(value, str) else str(value)


def _inputs(plan: FrozenPlan) -> str:
    if not plan.inputs:
        return "The inputs are not files here; their names stand under study design."
    return "\n".join(f"- {name}: SHA-256 `{value}`" for name, value in plan.inputs.items())


def _size(measure: Mapping[str, Any]) -> str:
    if "documents" not in measure:
        return "That of the measurements."
    return f"The first {measure['documents']} documents that are long enough, cut to {measure['context']} tokens."


def _manipulated(measure: Mapping[str, Any]) -> str:
    kind = measure.get("ablation")
    return f"Activations of neurons and outputs of attention heads, replaced ({kind} ablation)." if kind else _YOURS


def _statistics(hypotheses: list[Mapping[str, Any]], words: Mapping[str, Words]) -> str:
    def lines() -> Iterator[str]:
        for one in hypotheses:
            known = words.get(one["id"])
            text = fill(known.measured if known else "", "tested", "the first condition", "the second condition")
            yield f"- {one['id']}: {text or 'as its source says'}"

    return "\n".join(lines())


def _nulls(hypotheses: list[Mapping[str, Any]], tests: Mapping[str, Any]) -> str:
    lines = [f"- {one['id']}: {' and '.join(one['nulls'])}" for one in hypotheses]
    return f"Null models, {tests['replicates']} draws from each:\n\n" + "\n".join(lines)


def _criteria(tests: Mapping[str, Any]) -> str:
    return (
        f"Alpha {tests['alpha']:g}. p-values are adjusted within a family (Holm), and the interval that refutes is as "
        "wide as all tests that could refute the claim need together. Of two null models the larger p decides."
    )


def _exploratory(hypotheses: list[Mapping[str, Any]], tests: Mapping[str, Any]) -> str:
    rows = [f"- {one['id']}: {', '.join(one['sensitivity'])}" for one in hypotheses if one["sensitivity"]]
    varied = [f"- {name}: {', '.join(words)}" for name, words in tests["varied"].items()]
    told = ["Rows under further null models, which decide nothing:", "", *rows] if rows else []
    told += ["", "Settings that are varied in every combination:", "", *varied] if varied else []
    return "\n".join(told).strip() or "None."
