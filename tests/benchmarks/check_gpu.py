"""Everything that needs a GPU, in one command with one record: ``make check-gpu``.

1. the tests marked ``gpu``;
2. the closed form's floors on this device, and the distance to them (`tests.benchmarks.gpu`);
3. GPT-2 XL's and Pythia-6.9B's shapes with random weights, 24 documents of 64 tokens: seconds and the audit's worst
   error as a share of what is allowed, in float32, float32 with TF32 products, and bfloat16.

The record is build/gpu/record.json. A line says so where there is no GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers

from neuronull.data.adapters import adapter_for
from neuronull.data.models import LoadedModel
from neuronull.estimators.audit import AuditError
from neuronull.estimators.forward import run_forward
from neuronull.estimators.influence import influence

from . import gpu
from .harness import machine
from .shapes import panel_of, random_texts

DOCUMENTS, LENGTH = 24, 64
SHAPES: dict[str, Any] = {
    "gpt2-xl": lambda: transformers.GPT2Config(n_embd=1600, n_layer=48, n_head=25),
    "pythia-6.9b": lambda: transformers.GPTNeoXConfig(
        hidden_size=4096, num_hidden_layers=32, num_attention_heads=32, intermediate_size=16384, vocab_size=50432,
        max_position_embeddings=2048, tie_word_embeddings=False,
    ),
}  # fmt: skip
PRECISIONS = ("float32", "tf32", "bfloat16")


@contextmanager
def products_in(precision: str) -> Iterator[torch.dtype]:
    """Within the context, float32 products are made as `precision` says; gives the parameters' type."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield torch.bfloat16 if precision == "bfloat16" else torch.float32
    finally:
        torch.set_float32_matmul_precision(before)


def measured(config: transformers.PretrainedConfig, precision: str, device: str) -> dict[str, Any]:
    """Seconds and the audit of one shape with random weights; why not where the audit fails."""
    with products_in(precision) as dtype:
        with torch.device(device), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
        model.eval().requires_grad_(False)
        loaded = LoadedModel(model, None, adapter_for(model), "shape", None, "0" * 64, config, None)
        documents = random_texts(config.vocab_size, DOCUMENTS, LENGTH)
        panel, layer = panel_of(documents), loaded.adapter.layers - 1
        start = time.perf_counter()
        try:
            scored = run_forward(loaded, documents, layer).scored(panel)
            found = influence(loaded, documents, panel, *scored, layer)
        except AuditError as error:
            return {"precision": precision, "failed": str(error)}
        audit = found.audit.model_dump()
        return {"precision": precision, "seconds": round(time.perf_counter() - start, 2)} | {
            name: audit[name] for name in ("n", "max_abs_error", "max_contract_share", "method")
        }


def main() -> int:
    """Run all of it; 0 if nothing failed, or nothing could be checked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/gpu/record.json"))
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU here: nothing was checked")
        return 0
    record: dict[str, Any] = {"machine": machine(), "device": torch.cuda.get_device_name()}
    tests = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests"], check=False)
    record["tests"] = tests.returncode
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        sys.argv = sys.argv[:1]
        gpu.main()
    record["floors"] = told.getvalue().splitlines()
    record["shapes"] = {}
    for name, config in SHAPES.items():
        record["shapes"][name] = [measured(config(), precision, "cuda") for precision in PRECISIONS]
        torch.cuda.empty_cache()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))
    # TF32 may be too coarse: then it is not what is used
    rows = [one for shape in record["shapes"].values() for one in shape if one["precision"] != "tf32"]
    failed = [one for one in rows if "failed" in one]
    return 1 if tests.returncode or failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
