"""What power law the largest values follow, whether it fits, and whether another law fits better: a description.

Neither p-value here decides anything: a curve's values are noisy and not independent, and a tail begins where its law
fits best.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

from ..estimators.power_law import Tails, resampled, tails
from .inference.permutation import permutation_p
from .nulls.base import generator
from .result import TailLawCard

FloatArray = npt.NDArray[np.float64]

REPLICATES = 199
"""Samples drawn from the fitted law, each with a start of its own."""

FEWEST = 10
"""Values that are described, and values of a tail that other laws are fitted to."""

FEWEST_FOR_FIT = 50
"""Values of a tail below which goodness of fit is not told: it could hardly be small, and a large one reads as yes."""

OTHERS = ("lognormal", "exponential")


@dataclass(frozen=True)
class Comparison:
    """Vuong's z of the power law against another law over the same tail (+ = the power law is likelier), and its p."""

    z: float
    p: float


@dataclass(frozen=True)
class TailLaw:
    """A power law through a tail.

    ``exponent`` of the density; ``start``, from which on; ``size``, values there; ``distance`` in Kolmogorov's sense;
    ``p_of_fit``: how far samples drawn from the law lie from their own fits, as a p-value that is small where no power
    law fits, None for tails under `FEWEST_FOR_FIT`; ``against``: other laws that could be fitted, none under `FEWEST`.
    """

    exponent: float
    start: float
    size: int
    distance: float
    p_of_fit: float | None
    against: dict[str, Comparison]


def tail_law(sample: FloatArray, seed: int = 0) -> TailLaw | None:
    """Describe the tail of a sample; None under `FEWEST` values, or where they are not different values above 0.

    Parameters
    ----------
    sample
        Values, [n].
    seed
        Of the drawn samples.

    Notes
    -----
    Fit and goodness of fit: `neuronull.estimators.power_law`.  Comparisons: `powerlaw` (Alstott, Bullmore, Plenz 2014),
    after Vuong (1989).
    """
    values = np.asarray(sample, dtype=np.float64)
    if len(values) < FEWEST or not (values > 0).all() or np.ptp(values) == 0:
        return None
    try:
        found = tails(values[None])
        p = _p_of_fit(values, found, seed) if found.size[0] >= FEWEST_FOR_FIT else None
    except ValueError:  # too many equal values, here or in a drawn sample
        return None
    return TailLaw(
        exponent=float(found.alpha[0]),
        start=float(found.start[0]),
        size=int(found.size[0]),
        distance=float(found.distance[0]),
        p_of_fit=p,
        against=_against(values, float(found.start[0])) if found.size[0] >= FEWEST else {},
    )


def tail_laws(samples: Mapping[str, FloatArray]) -> dict[str, TailLawCard]:
    """Return, by name, the `TailLaw` of every sample that has one, as a finding keeps it."""
    found = {name: tail_law(sample) for name, sample in samples.items()}
    return {name: TailLawCard.model_validate(asdict(law)) for name, law in found.items() if law is not None}


def _p_of_fit(values: FloatArray, found: Tails, seed: int) -> float:
    drawn = np.stack([resampled(values, found, generator(seed, b, "powerlaw")) for b in range(1, REPLICATES + 1)])
    return permutation_p(float(found.distance[0]), tails(drawn).distance).value


def _against(values: FloatArray, start: float) -> dict[str, Comparison]:
    import powerlaw

    # in units of the start, whose powers overflow else; without a range of its own the library holds exponents under 3
    fit = powerlaw.Fit(values / start, xmin=1.0, parameter_ranges={"alpha": [1, None]}, verbose=0)
    found = {}
    for name in OTHERS:
        with warnings.catch_warnings(), suppress(UserWarning, RuntimeWarning):
            for category in (UserWarning, RuntimeWarning):
                warnings.simplefilter("error", category)  # so it says that no law fitted, or that it divided by 0
            z, p = fit.distribution_compare("power_law", name, normalized_ratio=True)
            if np.isfinite([z, p]).all():
                found[name] = Comparison(float(z), float(p))
    return found
