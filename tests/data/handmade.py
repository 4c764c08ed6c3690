"""A measurement directory made by hand, and ways to damage it."""

import json

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

D, LENGTH, N, WIDTH, V = 6, 12, 8, 4, 40
PER_DOCUMENT = LENGTH - 4
T = D * PER_DOCUMENT


def by_hand(folder):
    """A measurement directory as data/README.md has it, by numpy, pandas and safetensors alone.

    Positions 3-10 of six documents; even places of the first three pairs are rare and matched to the next; document 5
    has no rare position.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, V, (D, LENGTH))
    manifest = {
        "format": "1", "model": {"id": "mine", "revision": None, "hash": "ab"}, "architecture": "gpt2", "layer": 3,
        "dtype": "float32", "device": "cpu", "corpus": {"id": "text", "hash": "cd"}, "counts_hash": "ef",
        "vocabulary": V, "conditioning": "target", "threshold": 0.15, "elbow_rank": None, "ablation": "mean", "seed": 0,
        "versions": {"numpy": "2"}, "audit": {"n": 10, "max_abs_error": 1e-6}, "my_note": {"kept": [1, 2]},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    pd.DataFrame({"document": range(D), "source": [f"d{n}" for n in range(D)], "input_ids": list(ids)}).to_parquet(
        folder / "documents.parquet"
    )
    document, place = np.divmod(np.arange(T), PER_DOCUMENT)
    position = place + 3
    rare = (place % 2 == 0) & (place < 6) & (document < 5)
    panel = {
        "document": document, "position": position, "input_id": ids[document, position],
        "target_id": ids[document, position + 1], "loss": rng.gamma(2.0, 1.0, T), "input_rank": rng.integers(0, V, T),
        "target_rank": rng.integers(0, V, T), "half": document % 2,
        "class": np.where(place == 7, -1, rare).astype("i1"), "match": np.where(rare, np.arange(T) + 1, -1),
    }  # fmt: skip
    pd.DataFrame(panel).to_parquet(folder / "panel.parquet")
    normal = lambda *shape: rng.normal(size=shape).astype("f4")  # noqa: E731
    save_file({"delta_loss": normal(T, N)}, folder / "influence.safetensors")
    save_file({"activation": normal(T, N), "mean": normal(N)}, folder / "activations.safetensors")
    save_file({"w_in": normal(N, WIDTH), "w_out": normal(N, WIDTH)}, folder / "weights.safetensors")
    columns = ["mean_abs", "sd", "kurtosis", "sparsity", "w_out_norm", "weak_direction_share", "token_frequency_share"]
    pd.DataFrame({name: rng.uniform(0, 1, N) for name in columns}).to_parquet(folder / "neurons.parquet")
    effect = np.abs(normal(3, D, 2, 5))
    effect[:, 5] = np.nan
    heads = {"neuron": np.arange(5) + 2, "layer": np.array([0, 0, 1]), "head": np.array([-1, 0, 0])}
    save_file({"effect": effect, "reachable": np.ones(3, "u1"), **heads}, folder / "heads.safetensors")
    loss = normal(2, D, 2)
    loss[:, 5] = np.nan
    save_file({"loss": loss}, folder / "closure.safetensors")
    pd.DataFrame({"kind": ["neurons", "heads"], "members": [[2, 3], [1, 2]]}).to_parquet(folder / "closure.parquet")
    signed = rng.normal(size=(5, D, 2, N))
    signed[:, 5] = 0
    save_file({"signed": signed, "absolute": 2 * np.abs(signed)}, folder / "effects.safetensors")
    pd.DataFrame({"token": range(V), "text": [f" t{i}" for i in range(V)]}).to_parquet(folder / "tokens.parquet")
    save_file(
        {"raised": rng.integers(0, V, (N, 3)), "lowered": rng.integers(0, V, (N, 3))}, folder / "promoted.safetensors"
    )
    return folder


def rewrite(folder, name, **tensors):
    """Replace tensors of a safetensors file; None takes one out."""
    changed = load_file(folder / name) | tensors
    save_file({key: np.ascontiguousarray(value) for key, value in changed.items() if value is not None}, folder / name)


def cell(name, column, row, value):
    def fault(folder):
        table = pd.read_parquet(folder / name)
        values = table[column].tolist()
        values[row] = value
        table[column] = values
        table.to_parquet(folder / name)

    return fault


def columns(name, **new):
    """Replace columns of a parquet file; None takes one out."""

    def fault(folder):
        table = pd.read_parquet(folder / name).assign(**{key: value for key, value in new.items() if value is not None})
        table.drop(columns=[key for key, value in new.items() if value is None]).to_parquet(folder / name)

    return fault


def entry(name, tensor, index, value):
    def fault(folder):
        array = load_file(folder / name)[tensor].copy()
        array[index] = value
        rewrite(folder, name, **{tensor: array})

    return fault


def tensor(name, **new):
    return lambda folder: rewrite(folder, name, **new)


def manifest(**new):
    def fault(folder):
        payload = json.loads((folder / "manifest.json").read_text()) | new
        kept = {key: value for key, value in payload.items() if value != "GONE"}
        (folder / "manifest.json").write_text(json.dumps(kept))

    return fault


def content(name, text):
    return lambda folder: (folder / name).write_bytes(text)


def cut(name, share=0.6):
    def fault(folder):
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])

    return fault


def gone(name):
    return lambda folder: (folder / name).unlink()
