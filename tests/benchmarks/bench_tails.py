"""Power-law tails against `powerlaw.Fit`, one sample at a time and a hundred together."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import powerlaw

from neuronull.estimators.power_law import tails

from .harness import Contender, Row, compete

SIZES = (3072, 6400)
TOGETHER = 100


def fits(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exponents and starts by the library."""
    found = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Standard error for the MLE")
        for sample in samples:
            # without a range of its own, the library leaves out exponents above 3
            fit = powerlaw.Fit(sample, parameter_ranges={"alpha": [1, None]}, verbose=0)
            found.append((fit.alpha, fit.xmin))
    alpha, start = np.asarray(found).T
    return alpha, start


def check(results: dict[str, Any]) -> dict[str, str]:
    """The same exponents and starts."""
    said = {}
    ours = results["neuronull, a hundred together"]
    for name, result in results.items():
        if name.startswith("powerlaw"):
            alpha, start = result
            np.testing.assert_allclose(ours.alpha[: len(alpha)], alpha, rtol=1e-9)
            np.testing.assert_array_equal(ours.start[: len(start)], start)
            said[name] = f"{len(alpha)} exponents and starts equal"
    return said


def run(rounds: int) -> tuple[list[Row], list[str]]:
    """Influence-like samples of two sizes."""
    rows = []
    for n in SIZES:
        samples = np.random.default_rng(n).lognormal(size=(TOGETHER, n))
        tails(samples[:2])
        contenders = [
            Contender("neuronull, a hundred together", lambda samples=samples: tails(samples), TOGETHER),  # type: ignore[misc]
            Contender("neuronull, one alone", lambda samples=samples: tails(samples[:1])),  # type: ignore[misc]
            Contender("powerlaw.Fit", lambda samples=samples: fits(samples[:1])),  # type: ignore[misc]
        ]
        rows += compete(f"power-law tail, n = {n:,}", "fit", contenders, rounds, check)
    return rows, []
