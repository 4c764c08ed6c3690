"""Train an embedded model: ``python -m neuronull.data.training.train docs-gpt2 --corpus DIR --tokens N --out DIR``.

The corpus directory comes from `neuronull.data.training.build`. Runs on two CPU cores in half an hour; a run that was
cut off goes on from its last saved state when the same command is given again. The output directory appears under its
name only when it is whole.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..embedded.corpus import held_out_documents
from .build import END, VOCABULARY

CONTEXT = 256
EVALUATION_DOCUMENTS = 50
ARCHITECTURES = ("docs-gpt2", "docs-pythia")

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
_SAVE_EVERY = 200
_EVALUATE_EVERY = 200


@dataclass(frozen=True)
class Settings:
    """Everything that decides the trained weights, beside the token stream and the numerical kernels.

    Parameters
    ----------
    name
        One of `ARCHITECTURES`.
    tokens
        Training tokens; rounded down to whole batches.
    batch
        Sequences of `CONTEXT` tokens a step.
    learning_rate
        Peak of the schedule: linear warm-up, then a cosine down to a tenth.
    warmup
        Steps of the warm-up.
    weight_decay
        AdamW's, on matrices only.
    seed
        Of the initial weights and of the order of the sequences.
    checkpoints
        Number of log-spaced intermediate checkpoints, each four times as late as the one before.
    """

    name: str
    tokens: int
    batch: int = 8
    learning_rate: float = 2e-3
    warmup: int = 150
    weight_decay: float = 0.1
    seed: int = 0
    checkpoints: int = 0

    @property
    def steps(self) -> int:
        """Number of optimiser steps."""
        return self.tokens // (self.batch * CONTEXT)

    @property
    def checkpoint_steps(self) -> tuple[int, ...]:
        """Steps after which an intermediate checkpoint is saved."""
        return tuple(round(self.steps / 4**k) for k in range(self.checkpoints, 0, -1))

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        progress = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * progress)))


def fresh_model(name: str, seed: int) -> Any:
    """Return an untrained model in float32: step 0 of the training run with this seed.

    Raises
    ------
    ValueError
        If `name` is not one of `ARCHITECTURES`.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, GPTNeoXConfig, GPTNeoXForCausalLM

    # transformers initialises from the global generator; fork_rng gives it back as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if name == "docs-gpt2":
            return GPT2LMHeadModel(
                GPT2Config(
                    vocab_size=VOCABULARY,
                    n_positions=CONTEXT,
                    n_embd=192,
                    n_layer=4,
                    n_head=6,
                    n_inner=1536,
                    resid_pdrop=0.0,
                    embd_pdrop=0.0,
                    attn_pdrop=0.0,
                    bos_token_id=0,
                    eos_token_id=0,
                )
            )
        if name == "docs-pythia":
            return GPTNeoXForCausalLM(
                GPTNeoXConfig(
                    vocab_size=VOCABULARY,
                    max_position_embeddings=CONTEXT,
                    hidden_size=160,
                    num_hidden_layers=4,
                    num_attention_heads=5,
                    intermediate_size=1536,
                    rope_parameters={"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
                    use_parallel_residual=True,
                    tie_word_embeddings=True,
                    attention_dropout=0.0,
                    hidden_dropout=0.0,
                    bos_token_id=0,
                    eos_token_id=0,
                )
            )
    raise ValueError(f"no embedded architecture {name!r}; choose one of {', '.join(ARCHITECTURES)}")


def sequences(stream: NDArray[np.uint16], seed: int) -> Iterator[NDArray[np.int64]]:
    """Yield sequences of `CONTEXT` tokens without end: every pass cuts the stream anew and shuffles the pieces."""
    epoch = 0
    while True:
        rng = np.random.default_rng([seed, epoch])
        shift = int(rng.integers(CONTEXT))
        pieces = (len(stream) - shift) // CONTEXT
        for piece in rng.permutation(pieces):
            start = shift + int(piece) * CONTEXT
            yield stream[start : start + CONTEXT].astype(np.int64)
        epoch += 1


def evaluation_ids(corpus: Path, count: int = EVALUATION_DOCUMENTS) -> list[list[int]]:
    """Return the token ids of the first held-out documents by the tokenizer of a corpus, truncated to `CONTEXT`."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(corpus / "tokenizer.json"))
    return [tokenizer.encode(text).ids[:CONTEXT] for _, text in held_out_documents().documents[:count]]


@torch.no_grad()
def mean_loss(model: Any, documents: Sequence[Sequence[int]]) -> float:
    """Return the mean loss (nats a token) over all predicted positions of the documents."""
    model.eval()
    total, count = 0.0, 0
    for ids in documents:
        tokens = torch.tensor([ids])
        logits = model(tokens, use_cache=False).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum"))
        count += len(ids) - 1
    model.train()
    return total / count


def unigram_loss(counts: NDArray[np.int64], documents: Sequence[Sequence[int]]) -> float:
    """Return the mean of -log p (nats) over the same targets under the training frequencies, 1 added to each count."""
    log_p = np.log((counts + 1) / (counts + 1).sum())
    return float(-np.mean(np.concatenate([log_p[list(ids[1:])] for ids in documents])))


def save_weights(model: Any, path: Path) -> None:
    """Save a model's parameters in float16, without the output matrix where it is tied to the input embedding."""
    from safetensors.torch import save_file

    # named_parameters lists a tied matrix once, under the name of the input embedding, as from_pretrained expects it
    weights = {name: value.detach().to(torch.float16).contiguous() for name, value in model.named_parameters()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, str(path), metadata={"format": "pt"})
    path.chmod(0o644)


def _optimizer(model: Any, settings: Settings) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), eps=1e-8, fused=True)


def _save_state(path: Path, state: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    torch.save(state, temporary)
    os.replace(temporary, path)


def train(settings: Settings, corpus: Path, partial: Path) -> tuple[Any, NDArray[np.int64], dict[str, Any]]:
    """Train a model and return it with the token counts of what it was fed and the record of the run.

    `partial` receives the intermediate checkpoints and, every few minutes, the state from which a run goes on.
    """
    stream = np.load(corpus / "stream.npy")
    held_out = evaluation_ids(corpus)
    model = fresh_model(settings.name, settings.seed)
    optimizer = _optimizer(model, settings)
    start, earlier, curve = 0, 0.0, []
    counts = np.zeros(VOCABULARY, dtype=np.int64)
    state_path = partial / "state.pt"
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        if state["settings"] != repr(settings):
            raise ValueError(f"{partial} holds a run with other settings, {state['settings']}; remove it")
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        start, earlier, curve = state["step"], state["seconds"], state["curve"]
    source = sequences(stream, settings.seed)
    began, losses = time.monotonic(), []
    model.train()
    for step in range(settings.steps):
        batch = np.stack([next(source) for _ in range(settings.batch)])
        counts += np.bincount(batch.ravel(), minlength=VOCABULARY)
        if step < start:  # a resumed run: the sequences were seen already
            continue
        for group in optimizer.param_groups:
            group["lr"] = settings.rate(step)
        losses.append(_step(model, optimizer, torch.from_numpy(batch)))
        done = step + 1
        if done in settings.checkpoint_steps:
            save_weights(model, partial / "checkpoints" / str(done) / "model.safetensors")
        if done % _EVALUATE_EVERY == 0 or done in (20, 50, 100, settings.steps, *settings.checkpoint_steps):
            seconds = earlier + time.monotonic() - began
            curve.append(
                {
                    "step": done,
                    "tokens": done * settings.batch * CONTEXT,
                    "training_loss": round(sum(losses) / len(losses), 4),
                    "held_out_loss": round(mean_loss(model, held_out), 4),
                    "seconds": round(seconds, 1),
                }
            )
            losses = []
            left = (settings.steps - done) * (time.monotonic() - began) / (done - start)
            print(json.dumps(curve[-1]), f"{left / 60:.1f} min left", flush=True)
        if done % _SAVE_EVERY == 0:
            state = {"settings": repr(settings), "model": model.state_dict(), "optimizer": optimizer.state_dict()}
            seconds = earlier + time.monotonic() - began
            _save_state(state_path, state | {"step": done, "seconds": seconds, "curve": curve})
    record = {
        "architecture": settings.name,
        "parameters": sum(p.numel() for p in model.parameters()),
        "tokens": settings.steps * settings.batch * CONTEXT,
        "steps": settings.steps,
        "checkpoint_steps": list(settings.checkpoint_steps),
        "step_0": f"neuronull.data.training.train.fresh_model({settings.name!r}, seed={settings.seed})",
        "settings": {k: getattr(settings, k) for k in settings.__dataclass_fields__},
        "seconds": round(earlier + time.monotonic() - began, 1),
        "threads": torch.get_num_threads(),
        "held_out_documents": len(held_out),
        "held_out_loss": mean_loss(model, held_out),
        "held_out_unigram_loss": unigram_loss(counts, held_out),
        "curve": curve,
    }
    return model, counts, record


def _step(model: Any, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> float:
    """Take one optimiser step and return the batch's mean loss (nats); matrix products in bfloat16."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(tokens, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].reshape(-1, VOCABULARY).float(), tokens[:, 1:].reshape(-1))
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


def write_model(directory: Path, corpus: Path, model: Any, counts: NDArray[np.int64]) -> None:
    """Write weights, configuration, tokenizer and token counts to a directory."""
    model.config.dtype = torch.float16
    model.config.save_pretrained(directory)
    save_weights(model, directory / "model.safetensors")
    for file in _TOKENIZER_FILES:
        shutil.copyfile(corpus / file, directory / file)
    np.savez_compressed(directory / "counts.npz", counts=counts)


def provenance(corpus: Path) -> dict[str, Any]:
    """Return what a training record says about the corpus and the libraries."""
    import tokenizers
    import transformers

    return {
        "end_of_text": END,
        "versions": {
            "python": ".".join(map(str, sys.version_info[:3])),
            "numpy": np.__version__,
            "tokenizers": tokenizers.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
        "corpus": json.loads((corpus / "corpus.json").read_text(encoding="utf-8")),
    }


def reload_check(directory: Path, model: Any, documents: Sequence[Sequence[int]]) -> dict[str, float]:
    """Load what was written and return how it differs from the float32 model it was made from.

    Returns
    -------
    dict
        ``held_out_loss`` of the reloaded model (nats) and ``max_logit_difference``, the largest absolute difference of
        the centred logits on the first documents.
    """
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    difference = 0.0
    with torch.no_grad():
        for ids in documents[:10]:
            logits = [m(torch.tensor([ids]), use_cache=False).logits for m in (model, loaded)]
            centred = [x - x.mean(-1, keepdim=True) for x in logits]
            difference = max(difference, float((centred[0] - centred[1]).abs().max()))
    return {"held_out_loss": mean_loss(loaded, documents), "max_logit_difference": difference}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m neuronull.data.training.train", description=__doc__)
    parser.add_argument("name", choices=ARCHITECTURES)
    parser.add_argument("--corpus", type=Path, required=True, help="directory made by neuronull.data.training.build")
    parser.add_argument("--tokens", type=int, default=8_000_000)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--checkpoints", type=int, default=0, help="log-spaced intermediate checkpoints")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    if options.out.exists():
        parser.error(f"{options.out} exists; remove it first")
    settings = Settings(
        options.name,
        options.tokens,
        options.batch,
        options.learning_rate,
        seed=options.seed,
        checkpoints=options.checkpoints,
    )
    torch.set_num_threads(options.threads)
    partial = options.out.with_name(f".{options.out.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    model, counts, record = train(settings, options.corpus, partial)
    given = sys.argv[1:] if arguments is None else list(arguments)
    record = {"command": f"python -m neuronull.data.training.train {shlex.join(given)}"} | record
    write_model(partial, options.corpus, model, counts)
    record |= provenance(options.corpus) | {"reloaded": reload_check(partial, model, evaluation_ids(options.corpus))}
    (partial / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (partial / "state.pt").unlink(missing_ok=True)
    os.rename(partial, options.out)


if __name__ == "__main__":
    main()
