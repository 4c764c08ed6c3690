"""Run the benchmarks: ``python -m tests.benchmarks [NAME ...] [--rounds 5] [--out build/benchmarks]``."""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path

from .harness import machine, markdown, write

BENCHMARKS = ("influence", "heads", "permutations", "joint", "graphs", "tails")


def main() -> int:
    """Run what is asked for, print a table each, and write both tables and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="without ending; .md and .json")
    options = parser.parse_args()
    unknown = set(options.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    rows, notes = [], []
    for name in options.names or BENCHMARKS:
        found, said = importlib.import_module(f".bench_{name}", __package__).run(options.rounds)
        print("\n".join([markdown(found), *said, ""]), flush=True)
        rows += found
        notes += said
    write(options.out.with_suffix(".json"), rows, {"notes": notes})
    about = json.dumps(machine())
    options.out.with_suffix(".md").write_text("\n".join([markdown(rows), "", *notes, "", about]) + "\n")
    missed = [f"{row.benchmark}: {row.contender}" for row in rows if row.missed]
    print(f"{options.out.with_suffix('.md')}   {len(missed)} of {sum(r.bar is not None for r in rows)} bars missed")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
