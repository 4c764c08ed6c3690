"""Results of format 1 as format 2: from one plain dictionary to another.

Format 1 knew one pair of conditions, one set and one paper, and said nothing of them; this module says it for them.
Whatever is damaged is handed on as it is: validation tells where.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

from .result import Details, HypothesisCard, OutputRow
from .words import fill

SET = "plateau"
SETTINGS_MEAN = {
    "conditioning": "whether a position is rare by the token to be predicted or by the token read",
    "threshold": "share of the vocabulary beyond which a token is rare",
    "elbow": "whether the very rarest tokens, beyond the Zipf elbow, are left out",
    "ablation": "what takes a neuron's place",
    "plateau": "which neurons are the plateau",
    "split": "number of the division of the documents into halves; 0 is the run's own",
    "resolution": "resolution of the modularity that finds modules: larger, smaller modules",
    "density": "share of neuron pairs that are edges of a thresholded graph",
}
"""What could be varied in a run of format 1."""

_RENAMED = {"doubt": "coverage_warning", "flagged": "found_in_random_weights"}
_TYPED = {
    "why", "deciding_output", "document_effect", "null_chosen", "calibration", "broken_lines", "tail_laws",
    *_RENAMED,
}  # fmt: skip
_DROPPED = {"null_label", "per_head", "what_would_be_enough"}


def from_format_1(data: dict[str, Any]) -> dict[str, Any]:
    """Result of format 1 as one of format 2.

    Parameters
    ----------
    data
        Content of a ``results.json``; it is not changed.

    Returns
    -------
    dict
        The same result.  Hypotheses, null models and papers that this version has get what it says of them; other
        hypotheses have their claim for a title.
    """
    setup, findings = data.get("setup"), data.get("findings")
    if not isinstance(setup, dict) or not _all_dicts(findings, "hypothesis"):
        return {**data, "format": "2"}
    ids = list(dict.fromkeys(f["hypothesis"] for f in findings))
    left_out = data.get("left_out")
    cards = {id: _card(id, findings) for id in dict.fromkeys([*ids, *(left_out if isinstance(left_out, dict) else ())])}
    out = {k: v for k, v in data.items() if k != "plateau_effects"} | {"format": "2"}
    out["setup"] = {**setup, "conditions": _conditions()}
    out["sets"] = [_set(setup, [id for id in ids if not id.startswith("control.")])]
    out["hypotheses"] = list(cards.values())
    out["findings"] = [{**f, "details": _details(f)} for f in findings]
    claims = data.get("claims")
    if _all_dicts(claims, "number"):
        out["claims"] = claims = [_claim(c, cards) for c in claims]
        out["papers"] = _papers(c["paper"] for c in claims)
        if isinstance(data.get("multiverse"), dict):
            out["multiverse"] = _multiverse(data["multiverse"], {str(c["number"]): c["paper"] for c in claims})
    if _all_dicts(data.get("nulls"), "name"):
        out["nulls"] = [{**null, **_null(null)} for null in data["nulls"]]
    if isinstance(data.get("plateau_effects"), list):
        out["set_effects"] = [_set_effect(one) for one in data["plateau_effects"]]
    return out


def _all_dicts(items: Any, *keys: str) -> TypeGuard[list[dict[str, Any]]]:
    """Whether `items` is a list of dictionaries that all have these keys."""
    return isinstance(items, list) and all(isinstance(one, dict) and all(k in one for k in keys) for one in items)


def _conditions() -> dict[str, Any]:
    return {
        "a": {"name": "rare", "phrase": "rare tokens"},
        "b": {"name": "common", "phrase": "common tokens"},
        "rule": "tokens beyond and within a frequency rank in the model's training text",
    }


def _set(setup: dict[str, Any], hypotheses: list[str]) -> dict[str, Any]:
    return {
        "name": SET,
        "rule": "that matter most for rare words",
        "chosen_by": "influence",
        "cross_fitted": True,
        "size": setup.get("n_head", 0),
        "hypotheses": hypotheses,
    }


def _card(id: str, findings: list[dict[str, Any]]) -> dict[str, Any]:
    """What this version says of a hypothesis; of one that it does not know, its claim."""
    from . import catalogue
    from .cards import card_of

    declaring = [paper for paper in catalogue.shipped() if any(h.id == id for h in paper.hypotheses)]
    control = next((c for c in catalogue.controls(catalogue.shipped()) if c.id == id), None)
    if control is not None:
        return HypothesisCard(id=id, title=_filled(control.title), asks=_filled(control.claim)).model_dump()
    if declaring:
        return card_of(catalogue.hypothesis(id), _filled, SET, [paper.id for paper in declaring]).model_dump()
    claim = next((str(f["claim"]) for f in findings if f["hypothesis"] == id and f.get("claim")), "")
    return {"id": id, "title": claim or id, "asks": claim, "set": SET}


def _papers(ids: Iterable[str]) -> list[dict[str, Any]]:
    from . import catalogue

    asked = set(ids)
    return [paper.card.model_dump() for paper in catalogue.shipped() if paper.id in asked]


def _filled(text: str) -> str:
    conditions = _conditions()
    return fill(text, SET, conditions["a"]["phrase"], conditions["b"]["phrase"])


def _claim(claim: dict[str, Any], cards: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Claim with the paper that declares its hypotheses; format 1 tested one paper's claims."""
    hypotheses = claim.get("hypotheses")
    declared = [cards[h].get("papers", []) for h in hypotheses if h in cards] if isinstance(hypotheses, list) else []
    return {**claim, "paper": next((papers[0] for papers in declared if papers), "")}


def _multiverse(told: dict[str, Any], paper_of: dict[str, str]) -> dict[str, Any]:
    varied, universes = told.get("varied"), told.get("universes")
    if not isinstance(varied, dict) or not _all_dicts(universes):
        return told
    means = {name: SETTINGS_MEAN[name] for name in varied if name in SETTINGS_MEAN}
    return {**told, "means": means, "universes": [_universe(one, paper_of) for one in universes]}


def _universe(universe: dict[str, Any], paper_of: dict[str, str]) -> dict[str, Any]:
    claims = universe.get("claims")
    if not isinstance(claims, dict):
        return universe
    return {**universe, "claims": {f"{paper_of.get(n, '')}:{n}": verdict for n, verdict in claims.items()}}


def _null(null: dict[str, Any]) -> dict[str, Any]:
    """What this version says of a null model that ships; another one's code is not loaded for it."""
    from ..data.registry import BUILT_IN
    from . import catalogue

    name = null["name"]
    if name not in catalogue.nulls or catalogue.nulls.origin(name) != BUILT_IN:
        return {}
    found = catalogue.nulls.get(name)
    said = {key: getattr(found, key, "") for key in ("says", "caveat")}
    return {**said, "bibtex": list(getattr(found, "bibtex", ()))}


def _set_effect(one: Any) -> Any:
    if not isinstance(one, dict) or SET not in one:
        return one
    return {("mean" if key == SET else key): value for key, value in one.items()}


def _details(finding: dict[str, Any]) -> Any:
    """Details by their fields; what has none is what the statistic says of itself."""
    told = finding.get("details", {})
    if not isinstance(told, dict):
        return told
    typed: dict[str, Any] = {key: value for key, value in told.items() if key in _TYPED and value is not None}
    out: dict[str, Any] = {_RENAMED.get(key, key): value for key, value in typed.items()}
    rows = told.get("per_head")
    if _all_dicts(rows, "estimate"):
        out["per_output"] = [_output(row) for row in rows]
    if isinstance(told.get("what_would_be_enough"), dict):
        out["enough"] = _enough(told["what_would_be_enough"], finding)
    out["further"] = {key: _plain(value) for key, value in told.items() if key not in _TYPED | _DROPPED}
    if any(key.startswith("rewir") for key in out["further"]):
        note = _null({"name": "rewired"}).get("caveat")
        out["further"] |= {"note": note} if note else {}
    return {key: value for key, value in out.items() if key in Details.model_fields}


def _output(row: dict[str, Any]) -> dict[str, Any]:
    layer, head = row.get("layer", -1), row.get("head", -1)
    told = {"name": f"{layer}.{head}", "low": None, "high": None, "p_adjusted": None, "verdict": "", **row}
    return {key: value for key, value in told.items() if key in OutputRow.model_fields}


def _enough(needs: dict[str, Any], finding: dict[str, Any]) -> dict[str, Any]:
    if needs.get("smallest_margin") is None:
        return needs
    of_heads = "head_sets" in str(finding.get("null_model")).split("+")
    larger = "a model with more attention heads" if of_heads else "a larger set of neurons or a wider model"
    return {**needs, "larger": larger}


def _plain(value: Any) -> Any:
    """Value in the shapes that `Details.further` has room for; anything deeper as text."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, list):
        return [str(one) for one in value]
    if isinstance(value, dict):
        plain = (bool, int, float, str)
        return {str(k): one if one is None or isinstance(one, plain) else str(one) for k, one in value.items()}
    return str(value)
