import numpy as np
import pandas as pd
import pytest
from handmade import WIDTH, D, N, T, V, cell, columns, content, cut, entry, gone, manifest, tensor

from neuronull.data.errors import InputError
from neuronull.data.store import load

P, DOC, INF, ACT = "panel.parquet", "documents.parquet", "influence.safetensors", "activations.safetensors"
TOK, PRO = "tokens.parquet", "promoted.safetensors"
CS, E = "closure.parquet", "effects.safetensors"
W, H, C, NEU = "weights.safetensors", "heads.safetensors", "closure.safetensors", "neurons.parquet"


def f4(*shape):
    return np.ones(shape, "f4")


def rows(name, change):
    """Change a parquet file as a table."""

    def fault(folder):
        change(pd.read_parquet(folder / name)).to_parquet(folder / name)

    return fault


FAULTS = {
    "no manifest": (gone("manifest.json"), "has no manifest.json"),
    "no panel": (gone(P), "has no panel.parquet"),
    "no documents": (gone(DOC), "has no documents.parquet"),
    "manifest not json": (content("manifest.json", b"{'a'"), "manifest.json cannot be read: Expecting property name"),
    "manifest binary": (content("manifest.json", b"\xff\xfe"), "manifest.json cannot be read: 'utf-8' codec"),
    "manifest a list": (content("manifest.json", b"[]"), "manifest.json holds a list, not an object"),
    "other format": (manifest(format="2"), "format is '2', this version reads '1' (manifest.json)"),
    "no format": (manifest(format="GONE"), "format is None"),
    "no seed": (manifest(seed="GONE"), "seed: Field required (manifest.json)"),
    "no hash": (manifest(model={"id": "x"}), "model.hash: Field required (manifest.json)"),
    "vocabulary text": (manifest(vocabulary="many"), "vocabulary: Input should be a valid integer"),
    "vocabulary small": (manifest(vocabulary=5), "input_ids of document 0 is 0 to 36, outside 0 to 4 (documents"),
    "vocabulary none": (manifest(vocabulary=0), "vocabulary is 0 (manifest.json)"),
    "threshold": (manifest(threshold=15), "threshold is 15.0 (manifest.json); it must be between 0 and 1"),
    "conditioning": (manifest(conditioning="both"), "conditioning is 'both' (manifest.json)"),
    "ablation": (manifest(ablation="noise"), "ablation is 'noise' (manifest.json)"),
    "elbow": (manifest(elbow_rank=V), "elbow_rank is 40 (manifest.json)"),
    "layer": (manifest(layer=-1), "layer is -1 (manifest.json)"),
    "documents not parquet": (content(DOC, b"PAR1"), "documents.parquet cannot be read: "),
    "documents truncated": (cut(DOC), "documents.parquet cannot be read: "),
    "documents empty": (rows(DOC, lambda t: t[:0]), "there are no documents"),
    "documents column": (columns(DOC, input_ids=None), "documents.parquet has no column input_ids (it has document,"),
    "documents numbering": (columns(DOC, document=[1, 2, 3, 4, 5, 6]), "the column document is not 0, 1, 2, ..."),
    "ids no lists": (columns(DOC, input_ids=[1] * D), "the column input_ids holds int64 (documents.parquet)"),
    "ids floats": (columns(DOC, input_ids=[[1.5, 2.0]] * D), "the column input_ids holds list<"),
    "ids missing": (cell(DOC, "input_ids", 2, None), "input_ids of document 2 has missing values"),
    "ids short": (cell(DOC, "input_ids", 2, [1]), "document 2 has 1 input_ids"),
    "ids negative": (cell(DOC, "input_ids", 2, [1, -4, 3]), "input_ids of document 2 is -4 to 3, outside 0 to 39"),
    "source numbers": (columns(DOC, source=list(range(D))), "the column source holds int64"),
    "panel truncated": (cut(P), "panel.parquet cannot be read: "),
    "panel column": (columns(P, half=None), "panel.parquet has no column half (it has document, position,"),
    "panel empty": (rows(P, lambda t: t[:0]), "there are no positions (panel.parquet)"),
    "panel floats": (columns(P, position=np.ones(T)), "the column position holds double (panel.parquet)"),
    "panel missing": (columns(P, match=pd.array([None] * T, "Int64")), "the column match has 48 missing values"),
    "loss text": (columns(P, loss=["a"] * T), "the column loss holds "),
    "loss nan": (cell(P, "loss", 4, float("nan")), "loss of row 4 is nan (panel.parquet)"),
    "loss inf": (cell(P, "loss", 4, float("inf")), "loss of row 4 is inf (panel.parquet)"),
    "document": (cell(P, "document", T - 1, D), "document of row 47 is 6, outside 0 to 5 (panel.parquet)"),
    "position beyond": (cell(P, "position", 7, 11), "position of row 7 is 11, outside 0 to 10 (panel.parquet)"),
    "position negative": (cell(P, "position", 0, -1), "position of row 0 is -1, outside 0 to 10 (panel.parquet)"),
    "rank": (cell(P, "target_rank", 3, V), "target_rank of row 3 is 40, outside 0 to 39 (panel.parquet)"),
    "rank negative": (cell(P, "input_rank", 3, -1), "input_rank of row 3 is -1, outside 0 to 39 (panel.parquet)"),
    "input id": (cell(P, "input_id", 3, 39), "input_id of row 3 is 39, the document has "),
    "target id": (cell(P, "target_id", 3, 39), "target_id of row 3 is 39, the document has "),
    "order": (rows(P, lambda t: t[::-1]), "row 1 is out of order (panel.parquet)"),
    "twice": (rows(P, lambda t: t.iloc[[0, 0]].assign(match=-1)), "row 1 is out of order"),
    "half value": (cell(P, "half", 3, 2), "half of row 3 is 2 (panel.parquet); it must be one of 0, 1"),
    "half mixed": (cell(P, "half", 10, 0), "document 1 is in both halves (panel.parquet)"),
    "class value": (cell(P, "class", 3, 5), "class of row 3 is 5 (panel.parquet); it must be one of 1, 0, -1"),
    "match beyond": (cell(P, "match", 0, T), "match of row 0 is 48, outside -1 to 47 (panel.parquet)"),
    "match of common": (cell(P, "match", 1, 3), "row 1 is not rare but has a match (row 3)"),
    "match to rare": (cell(P, "match", 0, 2), "row 0 is matched to a position that is not common (row 2)"),
    "match to neither": (cell(P, "match", 0, 7), "row 0 is matched to a position that is not common (row 7)"),
    "match elsewhere": (cell(P, "match", 0, 14), "row 0 is matched to another document (row 14)"),
    "match twice": (cell(P, "match", 0, 3), "row 3 is the match of several positions"),
    "influence truncated": (cut(INF), "influence.safetensors cannot be read: "),
    "influence empty": (content(INF, b""), "influence.safetensors cannot be read: "),
    "influence foreign": (content(INF, b"not a tensor" * 99), "influence.safetensors cannot be read: "),
    "tokens binary": (content(TOK, b"PAR1"), "tokens.parquet cannot be read: "),
    "tokens unsorted": (cell(TOK, "token", 3, 0), "the column token is not ascending ids of the vocabulary"),
    "tokens outside": (cell(TOK, "token", -1, V), "the column token is not ascending ids of the vocabulary"),
    "tokens numbers": (rows(TOK, lambda t: t.assign(text=1)), "the column text holds int64 (tokens.parquet)"),
    "tokens column": (rows(TOK, lambda t: t[["token"]]), "tokens.parquet has no column text"),
    "promoted outside": (tensor(PRO, raised=np.full((N, 3), V)), f"raised of row 0 is {V}, outside 0 to {V - 1}"),
    "promoted rows": (tensor(PRO, lowered=np.zeros((2, 3), "i8")), f"lowered has 2 rows, there are {N} neurons"),
    "promoted flat": (tensor(PRO, raised=np.zeros(N, "i8")), f"raised has shape [{N}], not 2 dimensions"),
    "promoted half": (tensor(PRO, raised=None), "promoted.safetensors has no tensor raised"),
    "influence name": (tensor(INF, delta_loss=None, delta=f4(T, N)), "influence.safetensors has no tensor delta_loss"),
    "influence type": (tensor(INF, delta_loss=np.ones((T, N))), "delta_loss is float64 (influence.safetensors)"),
    "influence rows": (tensor(INF, delta_loss=f4(T - 1, N)), "delta_loss has 47 rows, panel.parquet has 48"),
    "influence shape": (tensor(INF, delta_loss=f4(T)), "delta_loss has shape [48], not 2 dimensions (influence"),
    "influence nan": (entry(INF, "delta_loss", (9, 4), np.nan), "delta_loss[9, 4] is nan (influence.safetensors)"),
    "influence inf": (entry(INF, "delta_loss", (47, 7), -np.inf), "delta_loss[47, 7] is -inf (influence.safetensors)"),
    "activation type": (tensor(ACT, activation=np.ones((T, N), "i4")), "activation is int32 (activations."),
    "activation neurons": (tensor(ACT, activation=f4(T, N + 1)), "activation has 9 neurons, influence."),
    "mean neurons": (tensor(ACT, mean=f4(N - 1)), "mean has 7 neurons, influence.safetensors has 8 (activations"),
    "mean nan": (entry(ACT, "mean", 2, np.nan), "mean[2] is nan (activations.safetensors)"),
    "weights neurons": (tensor(W, w_in=f4(N + 1, WIDTH)), "w_in has 9 neurons, influence.safetensors has 8 (weights"),
    "weights shape": (tensor(W, w_out=f4(N)), "w_out has shape [8], not 2 dimensions (weights"),
    "weights nan": (entry(W, "w_out", (1, 1), np.nan), "w_out[1, 1] is nan (weights.safetensors)"),
    "neurons truncated": (cut(NEU), "neurons.parquet cannot be read: "),
    "neurons column": (columns(NEU, kurtosis=None), "neurons.parquet has no column kurtosis (it has mean_abs, sd,"),
    "neurons rows": (rows(NEU, lambda t: t[1:]), "the table has 7 neurons"),
    "neurons nan": (cell(NEU, "kurtosis", 5, float("nan")), "kurtosis of neuron 5 is nan (neurons.parquet)"),
    "neurons negative": (cell(NEU, "sd", 5, -1.0), "sd of neuron 5 is -1.0 (neurons.parquet)"),
    "neurons share": (cell(NEU, "sparsity", 5, 1.1), "sparsity of neuron 5 is 1.1 (neurons.parquet)"),
    "neurons text": (columns(NEU, sd=["a"] * N), "the column sd holds "),
    "heads truncated": (cut(H), "heads.safetensors cannot be read: "),
    "heads tensor": (tensor(H, reachable=None), "heads.safetensors has no tensor reachable (it"),
    "heads type": (tensor(H, head=np.zeros(3, "i4")), "head is int32 (heads.safetensors); store it as int64"),
    "heads shape": (tensor(H, effect=f4(3, D, 2)), "effect has shape [3, 6, 2], not 4 dimensions (heads"),
    "heads documents": (tensor(H, effect=f4(3, D - 1, 2, 5)), "effect has shape [3, 5, 2, 5]"),
    "heads lengths": (tensor(H, reachable=np.ones(2, "u1")), "layer, head and reachable have 3, 3 and 2 entries"),
    "heads matrix": (tensor(H, neuron=np.ones((5, 1), "i8")), "neuron has shape [5, 1], not one dimension"),
    "heads twice": (tensor(H, head=np.zeros(3, "i8")), "a head of a layer comes twice"),
    "heads below": (tensor(H, head=np.array([-2, 0, 0])), "layer goes down to 0, head to -2 (heads"),
    "neuron beyond": (entry(H, "neuron", 0, N), "neuron of row 0 is 8, outside 0 to 7 (heads.safetensors)"),
    "neuron twice": (entry(H, "neuron", 0, 3), "a neuron comes twice in neuron (heads"),
    "effect nan": (entry(H, "effect", (1, 2, 0, 3), np.nan), "effect of head 0 in layer 0: document 2 has a"),
    "effect no nan": (entry(H, "effect", (2, 5, 1, 0), 0), "effect of head 0 in layer 1: document 5 has no"),
    "effect negative": (entry(H, "effect", (1, 2, 0, 3), -0.1), "effect[1] has negative entries (heads"),
    "closure alone": (gone("closure.parquet"), "there is closure.safetensors but no closure.parquet"),
    "closure sets": (rows("closure.parquet", lambda t: t[:1]), "loss has shape [2, 6, 2]"),
    "closure nan": (entry(C, "loss", (1, 0, 1), np.nan), "loss of set 1: document 0 has a matched pair"),
    "closure shape": (tensor(C, loss=f4(2, D)), "loss has shape [2, 6], not 3 dimensions (closure"),
    "closure column": (columns(CS, kind=None), "closure.parquet has no column kind (it has members)"),
    "closure kind": (cell(CS, "kind", 1, "layers"), "kind of set 1 is 'layers' (closure.parquet); it must be neurons"),
    "closure order": (cell(CS, "members", 0, [3, 2]), "members of set 0 are not ascending (closure.parquet)"),
    "closure empty": (cell(CS, "members", 0, []), "members of set 0 are not ascending (closure.parquet)"),
    "closure beyond": (cell(CS, "members", 0, [2, N]), "members of set 0 is 8, outside 0 to 7 (closure.parquet)"),
    "closure below": (cell(CS, "members", 1, [-1, 2]), "members of set 1 is -1, outside 0 to 2 (closure.parquet)"),
    "closure text": (columns(CS, members=["a", "b"]), "the column members holds "),
    "closure twice": (columns(CS, kind=["neurons"] * 2, members=[[2, 3]] * 2), "a set is listed twice (closure"),
    "effects truncated": (cut(E), "effects.safetensors cannot be read: "),
    "effects lack": (tensor(E, absolute=None), "effects.safetensors has no tensor absolute (it has signed)"),
    "effects type": (tensor(E, signed=np.ones((5, D, 2, N), "i4")), "signed is int32 (effects.safetensors); store"),
    "effects dimensions": (tensor(E, signed=f4(5, D, 2)), "signed has shape [5, 6, 2], not 4 dimensions (effects"),
    "effects kinds": (tensor(E, absolute=f4(4, D, 2, N)), "absolute has shape [4, 6, 2, 8], effects, documents and"),
    "effects documents": (tensor(E, signed=f4(5, D - 1, 2, N)), "signed has shape [5, 5, 2, 8], effects, documents"),
    "effects neurons": (tensor(E, signed=f4(5, D, 2, N + 1)), "signed has 9 neurons, influence.safetensors has 8 (eff"),
    "effects nan": (entry(E, "signed", (1, 2, 0, 3), np.nan), "signed[1, 2, 0, 3] is nan (effects.safetensors)"),
    "effects no pair": (entry(E, "absolute", (4, 5, 1, 0), 0.1), "absolute: document 5 has no matched pair but not"),
    "effects size": (entry(E, "absolute", (2, 1, 0, 3), 0), "signed[2, 1, 0, 3] exceeds absolute (effects"),
    "effects below": (entry(E, "absolute", (2, 1, 0, 3), -9), "signed[2, 1, 0, 3] exceeds absolute (effects"),
}  # fmt: skip


def test_a_fault_is_found_in_later_rows_of_large_arrays_too(folder, monkeypatch):
    monkeypatch.setattr("neuronull.data.validate._ROWS", 10)
    entry(INF, "delta_loss", (31, 4), np.nan)(folder)
    with pytest.raises(InputError, match=r"delta_loss\[31, 4\] is nan"):
        load(folder)


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_one_clear_line(folder, name):
    fault, message = FAULTS[name]
    fault(folder)
    with pytest.raises(InputError) as caught:
        load(folder)
    said = str(caught.value)
    assert message in said
    assert "\n" not in said
    assert any(file in said for file in (".json", ".parquet", ".safetensors"))
