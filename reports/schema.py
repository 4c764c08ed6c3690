"""JSON schema of ``results.json``, from the result's own model; ``python -m neuronull.reports.schema`` rewrites it."""

from __future__ import annotations

import json
from pathlib import Path

from ..hypotheses.result import FORMAT, Result

PATH = Path(__file__).with_name("result.schema.json")


def schema_json() -> str:
    """Text of the schema file."""
    schema = Result.model_json_schema(mode="serialization")
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"neuronull/result/{FORMAT}",
        "title": f"neuronull result, format {FORMAT}",
    }
    return json.dumps({**schema, **head}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(schema_json(), encoding="utf-8")
