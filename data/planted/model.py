"""A small GPT-2 whose weights are edited so that an effect is there by construction, and a language that shows it.

The language: tokens w0, w1, ... follow a Zipf law; after a *cue* (one of a few middling tokens) a rare token of
the cue's own topic comes `FOLLOWS` of the time.  The model is random but for what the settings plant:

- ``specialists``: neuron j of the plateau reads cue j and writes topic j, with weights no longer than those of others.
- ``modules``: the plateau writes a loud dimension, and its halves read one feature each, which every token has a random
  amount of.
- ``routing``: the plateau writes the loud dimension and reads another, to which one head of the first layer copies
  "this is a cue".

With every setting at 0 the model is the *unedited twin*: same language, same random weights.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from ..frequencies import COUNTS_FILE

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CUES = 16
FIRST_CUE = 3
"""Cues are tokens 3, 4, ...: common enough that half of all rare tokens follow one."""
TOPICS = 32
"""Tokens fall into topics, the first `CUES` of which have a cue; every neuron of the last layer writes to one topic."""
FOLLOWS = 0.7
LAYERS, HEADS = 2, 4
FLAG, COPY = 0, 1
"""Dimensions of the residual stream kept free: cues carry a flag in the first, the routing head writes the second."""
FIRST_TOPIC = 2
"""First of the dimensions by which the unembedding tells topics."""
TOPIC_LOGIT, LOUD_LOGIT = 1.5, 3.0
LOUD = FIRST_TOPIC + TOPICS
"""A dimension that moves the logits of all tokens, half of them up and half down; ordinary neurons do not write it."""
COPYING_HEAD = 1
SHARPNESS = 2.5
"""Scale of queries and keys of the copying head: each token attends to itself and its like."""


@dataclass(frozen=True)
class ModelDials:
    """Size of model and text, and the strength of each planted effect (0 = absent).

    ``specialists``: length of the plateau's output weights, in those of a median neuron.  ``modules``: how strongly
    each half of the plateau reads its feature, in the length of an ordinary neuron's input weights.  ``routing``: the
    same for the dimension that the copying head writes.  Specialists cannot be planted together with the others.
    """

    documents: int = 80
    length: int = 64
    vocabulary: int = 400
    width: int = 96
    neurons: int = 960
    specialists: float = 0.0
    modules: float = 0.0
    routing: float = 0.0

    def __post_init__(self) -> None:
        if self.specialists and (self.modules or self.routing):
            raise ValueError("specialists read and write otherwise than modules and routing; plant one or the other")


@dataclass(frozen=True)
class PlantedFiles:
    """What was written: a model directory (with training counts) and a corpus."""

    model: Path
    corpus: Path
    plateau: IntArray


def write_planted_model(folder: Path, settings: ModelDials, seed: int) -> PlantedFiles:
    """Write model, tokenizer, counts and corpus, to be run as any other: ``neuronull run --model ... --corpus ...``.

    Parameters
    ----------
    folder
        Made if it is not there.
    settings
        The world.
    seed
        Everything random follows from it; settings change only what they plant.
    """
    sequence = np.random.SeedSequence(seed)
    of_text, of_weights, of_groups = (np.random.Generator(np.random.Philox(s)) for s in sequence.spawn(3))
    topic = of_groups.permutation(settings.vocabulary) % TOPICS
    rare = np.arange(settings.vocabulary) >= round(0.15 * settings.vocabulary)
    groups = [np.flatnonzero(rare & (topic == cue)) for cue in range(CUES)]
    plateau = np.sort(of_groups.choice(settings.neurons, CUES, replace=False))
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "model"
    _write_model(model, _weights(settings, topic, plateau, of_weights), settings)
    corpus = folder / "corpus.jsonl"
    law = _zipf(settings.vocabulary)
    documents = [_document(settings.length, law, groups, of_text) for _ in range(settings.documents)]
    corpus.write_text("".join(json.dumps({"text": " ".join(f"w{t}" for t in d)}) + "\n" for d in documents), "utf-8")
    np.savez(model / COUNTS_FILE, counts=np.round(1e6 * law).astype(np.int64))
    return PlantedFiles(model, corpus, plateau)


def _zipf(vocabulary: int) -> FloatArray:
    """Probabilities of the tokens, commonest first."""
    p = 1 / (np.arange(vocabulary) + 3.0)
    law: FloatArray = p / p.sum()
    return law


def _document(length: int, law: FloatArray, groups: list[IntArray], rng: np.random.Generator) -> list[int]:
    tokens = [int(rng.choice(len(law), p=law))]
    while len(tokens) < length:
        cue = tokens[-1] - FIRST_CUE
        if 0 <= cue < CUES and rng.random() < FOLLOWS:
            tokens.append(int(rng.choice(groups[cue])))
        else:
            tokens.append(int(rng.choice(len(law), p=law)))
    return tokens


def _weights(
    settings: ModelDials, topic: IntArray, plateau: IntArray, rng: np.random.Generator
) -> dict[str, FloatArray]:
    """State of the model by its name in GPT-2; linear weights are [input, output], as Conv1D keeps them."""
    d, n, v = settings.width, settings.neurons, settings.vocabulary
    embedding = rng.standard_normal((v, d))
    embedding[:, [FLAG, COPY]] = 0.0
    embedding[FIRST_CUE : FIRST_CUE + CUES, FLAG] = 3.0
    unembedding = rng.standard_normal((v, d)) / np.sqrt(d)
    topics = slice(FIRST_TOPIC, FIRST_TOPIC + TOPICS)
    unembedding[:, topics] = TOPIC_LOGIT * (topic[:, None] == np.arange(TOPICS))
    unembedding[:, LOUD] = LOUD_LOGIT * rng.choice([-1.0, 1.0], v)
    state = {"transformer.wte.weight": embedding, "lm_head.weight": unembedding}
    state["transformer.wpe.weight"] = 0.05 * rng.standard_normal((settings.length, d))
    for layer in range(LAYERS):
        state |= {f"transformer.h.{layer}.{name}": x for name, x in _layer(d, n, rng).items()}
    last = f"transformer.h.{LAYERS - 1}.mlp"
    read, write = state[f"{last}.c_fc.weight"], state[f"{last}.c_proj.weight"]
    features, aside = rng.standard_normal((2, d)), rng.standard_normal((CUES, d))
    features[:, [FLAG, COPY]] = 0.0
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    aside[:, LOUD] = 0.0
    length = np.linalg.norm(write, axis=1)
    write += length[:, None] * np.eye(d)[FIRST_TOPIC + rng.integers(TOPICS, size=n)]
    long_in, long_out = np.median(np.linalg.norm(read, axis=0)), np.median(np.linalg.norm(write, axis=1))
    for cue, neuron in enumerate(plateau):
        if settings.specialists:
            own = embedding[FIRST_CUE + cue].copy()
            own[[FLAG, COPY]] = 0.0
            read[:, neuron] = long_in * _unit(own)
            write[neuron] = settings.specialists * long_out * _unit(np.eye(d)[FIRST_TOPIC + cue] + _unit(aside[cue]))
        elif settings.modules or settings.routing:
            write[neuron] = long_out * _unit(np.eye(d)[LOUD] + _unit(aside[cue]))
            read[:, neuron] += settings.modules * long_in * features[cue % 2]
            read[:, neuron] *= long_in / np.linalg.norm(read[:, neuron])
            read[COPY, neuron] = settings.routing * long_in
    if settings.routing:
        _copying_head(state, d)
    state["transformer.ln_f.weight"] = np.ones(d)
    state["transformer.ln_f.bias"] = np.zeros(d)
    return state


def _layer(d: int, n: int, rng: np.random.Generator) -> dict[str, FloatArray]:
    """Random weights of a block; none writes the free or the loud dimensions, and none reads the free ones."""
    spread = np.exp(0.4 * rng.standard_normal(n))
    out = {
        "attn.c_attn.weight": rng.standard_normal((d, 3 * d)) / np.sqrt(d),
        "attn.c_proj.weight": 0.5 * rng.standard_normal((d, d)) / np.sqrt(d),
        "mlp.c_fc.weight": 1.5 * rng.standard_normal((d, n)) / np.sqrt(d),
        "mlp.c_proj.weight": rng.standard_normal((n, d)) * spread[:, None] / np.sqrt(n),
    }
    for name in ("attn.c_attn.weight", "mlp.c_fc.weight"):
        out[name][[FLAG, COPY]] = 0.0
    for name in ("attn.c_proj.weight", "mlp.c_proj.weight"):
        out[name][:, [FLAG, COPY, LOUD]] = 0.0
    sizes = {"attn.c_attn": 3 * d, "attn.c_proj": d, "mlp.c_fc": n, "mlp.c_proj": d, "ln_1": d, "ln_2": d}
    out |= {f"{name}.bias": np.zeros(size) for name, size in sizes.items()}
    return out | {"ln_1.weight": np.ones(d), "ln_2.weight": np.ones(d)}


def _copying_head(state: dict[str, FloatArray], d: int) -> None:
    """Let one head of the first layer attend from each token to itself, and copy the flag into its own dimension."""
    size = d // HEADS
    rows = slice(COPYING_HEAD * size, (COPYING_HEAD + 1) * size)
    queries_keys_values = state["transformer.h.0.attn.c_attn.weight"]
    reads = np.zeros((d, size))
    reads[2 : 2 + size] = SHARPNESS * np.eye(size)
    queries_keys_values[:, :d][:, rows] = reads
    queries_keys_values[:, d : 2 * d][:, rows] = reads
    first = rows.start
    queries_keys_values[:, 2 * d + first] = 0.0
    queries_keys_values[FLAG, 2 * d + first] = 1.0
    state["transformer.h.0.attn.c_proj.weight"][first] = 0.0
    state["transformer.h.0.attn.c_proj.weight"][first, COPY] = 1.0


def _unit(x: FloatArray) -> FloatArray:
    unit: FloatArray = x / np.linalg.norm(x)
    return unit


def _write_model(folder: Path, state: dict[str, FloatArray], settings: ModelDials) -> None:
    """Configuration, safetensors and a tokenizer that knows the words, as `AutoModelForCausalLM` reads them."""
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    folder.mkdir(exist_ok=True)
    config: dict[str, Any] = {
        "vocab_size": settings.vocabulary, "n_positions": settings.length, "n_embd": settings.width, "n_layer": LAYERS,
        "n_head": HEADS, "n_inner": settings.neurons, "tie_word_embeddings": False, "bos_token_id": None,
        "eos_token_id": None, "architectures": ["GPT2LMHeadModel"],
    }  # fmt: skip
    transformers.GPT2Config(**config).save_pretrained(folder)
    tensors = {name: torch.from_numpy(x.astype(np.float32)).contiguous() for name, x in state.items()}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    words = {f"w{t}": t for t in range(settings.vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="w0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast: Any = transformers.PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer).save_pretrained(folder)
