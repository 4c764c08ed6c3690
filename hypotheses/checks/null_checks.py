"""The checks of a null model, one function each; each returns what it saw, or raises `Failed` or `Skipped`."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.stats
import torch

from ..inference.permutation import permutation_p
from ..nulls.base import RANDOMISES, NullModel, Observed
from ..nulls.form import form_fault, form_of
from . import test_problems
from .outcome import Failed, Skipped, require
from .plain import Coder, copied, same
from .spaces import identity_of, space_of

SOME = range(1, 13)
"""Replicates that are drawn where a dozen will do."""
MANY = range(1, 65)
TILE = 4
UNLIKELY = 1e-4
"""Chance that a sound null model fails a random check; draws are keyed, so that a null model always passes or never."""
ALPHA, B = 0.05, 19
"""With 19 draws, p <= .05 where all lie below the observed value: exactly one time in twenty."""


@dataclass(frozen=True)
class Subject:
    """A null model on its own example."""

    null: NullModel

    def observed(self) -> Observed:
        """A fresh example."""
        return self.null.example()

    def state(self, observed: Observed | None = None) -> Any:
        """State for `observed`, by default for the example."""
        return self.null.prepare(test_problems.measurements(), self.observed() if observed is None else observed)

    def draws(self, numbers: range, seed: int = 0, state: Any = None) -> list[Any]:
        """Draws as a list of copies."""
        given = self.null.draw(self.state() if state is None else state, numbers, seed)
        return [copied(draw) for draw in given]

    def one(self) -> Any:
        """One draw, for its form."""
        return self.draws(range(1, 2))[0]


def declared(subject: Subject) -> str:
    """Name, what it randomises, keeps and breaks, and what must be exchangeable, are said."""
    null = subject.null
    for attribute in ("name", "exchangeable"):
        require(bool(str(getattr(null, attribute, "")).strip()), f"{attribute} is empty; say it in words")
    for attribute in ("preserves", "breaks"):
        texts = getattr(null, attribute, ())
        require(not isinstance(texts, str), f"{attribute} is one string; give a tuple of them")
        require(len(texts) > 0 and all(str(t).strip() for t in texts), f"{attribute} is empty; say it in words")
    require(null.randomises in RANDOMISES, f"randomises is {null.randomises!r}; give one of {', '.join(RANDOMISES)}")
    require(bool((type(null).__doc__ or "").strip()), "the class has no docstring")
    return f"randomises {null.randomises}; {len(null.preserves)} things preserved, {len(null.breaks)} broken"


def citation(subject: Subject) -> str:
    """A source is named."""
    reference = str(getattr(subject.null, "reference", "")).strip()
    require(len(reference.split()) >= 3, f"reference is {reference!r}; name the source: author, year, where")
    return reference


def contract(subject: Subject) -> str:
    """The example and the draws have the kind, number, shape and dtype that `Draws` states."""
    observed = subject.observed()
    require(isinstance(observed, Observed), f"example() gave a {type(observed).__name__}, not an Observed")
    require(
        observed.kind == subject.null.randomises,
        f"example() is of {observed.kind}, and draws are of {subject.null.randomises}",
    )
    for numbers in (range(1, 2), range(3, 10)):
        drawn = subject.draws(numbers)
        require(len(drawn) == len(numbers), f"{len(numbers)} replicates were asked for and {len(drawn)} came")
    for draw in drawn:
        wrong = form_fault(observed, draw)
        require(not wrong, wrong)
    return form_of(drawn[0])


def repeat(subject: Subject) -> str:
    """The same seed and replicates give the same draws again."""
    again = same(subject.draws(SOME), subject.draws(SOME))
    require(
        again, "the same seed and replicates gave other draws the second time; draw from generator(seed, replicate)"
    )
    return f"{len(SOME)} draws twice"


def batch(subject: Subject) -> str:
    """A draw does not depend on which others are drawn with it."""
    whole = subject.draws(SOME)
    for size in (1, 5):
        parts = [d for start in range(1, 13, size) for d in subject.draws(range(start, min(start + size, 13)))]
        said = f"draws in batches of {size} differ from those in one of {len(SOME)}"
        require(same(whole, parts), f"{said}; key them by the replicate's number")
    return "batches of 1, 5 and 12"


def order(subject: Subject) -> str:
    """A draw does not depend on what was drawn before it."""
    state = subject.state()
    tiles = _tiles()
    forward = [subject.draws(tile, state=state) for tile in tiles]
    backward = [subject.draws(tile, state=state) for tile in reversed(tiles)]
    require(
        same(forward, backward[::-1]),
        "draws differ when the batches come in another order; keep no generator in the state",
    )
    return f"{len(tiles)} batches forward and backward"


def workers(subject: Subject) -> str:
    """A draw does not depend on how many workers draw."""
    state, tiles = subject.state(), _tiles()
    alone = [subject.draws(tile, state=state) for tile in tiles]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda tile: subject.draws(tile, state=state), tiles))
    require(
        same(alone, together),
        "draws by three workers differ from draws by one; share nothing that changes between draws",
    )
    return "1 and 3 workers"


def seeds(subject: Subject) -> str:
    """Another seed gives other draws."""
    require(
        not same(subject.draws(SOME, seed=0), subject.draws(SOME, seed=1)),
        "seeds 0 and 1 gave the same draws; use the seed",
    )
    return "seeds 0 and 1 differ"


def invariants(subject: Subject) -> str:
    """Every draw keeps what is declared to be preserved, as far as `invariants` tests it."""
    observed, tested = subject.observed(), 0
    for number, draw in enumerate(subject.draws(MANY), start=1):
        for what, kept in subject.null.invariants(observed, draw):
            require(what in subject.null.preserves, f"invariants names {what!r}, which preserves does not declare")
            require(bool(kept), f"replicate {number} does not preserve: {what}")
            tested += 1
    if tested == 0:
        raise Skipped("no invariant is tested; write invariants() for what preserves declares")
    return f"{tested // len(MANY)} invariants on {len(MANY)} draws"


def variety(subject: Subject) -> str:
    """Draws differ from each other and from the observed object."""
    observed, drawn = subject.observed(), subject.draws(MANY)
    seen = Counter(map(subject.null.signature, drawn))
    space = space_of(subject.null, observed, drawn[0])
    wanted = min(len(drawn) // 4, max(2, len(space) // 4) if space else len(drawn))
    require(
        len(seen) >= wanted,
        f"{len(drawn)} draws hold {len(seen)} different ones; at least {wanted} were to be expected",
    )
    still = seen[subject.null.signature(identity_of(observed, drawn[0]))]
    require(still < len(drawn) // 2, f"{still} of {len(drawn)} draws are the observed object; randomise it")
    return f"{len(seen)} different of {len(drawn)}"


def uniform(subject: Subject) -> str:
    """On a tiny example every possible draw is equally likely (chi-square against full enumeration)."""
    observed = subject.observed()
    space = space_of(subject.null, observed, subject.one())
    if space is None:
        raise Skipped("the draws of the example cannot be listed")
    require(len(set(space)) == len(space) > 1, "space() lists a draw twice, or one draw only")
    drawn = subject.draws(range(1, 1 + max(1500, 12 * len(space))))
    seen: Counter[Hashable] = Counter(map(subject.null.signature, drawn))
    outside = sum(n for signature, n in seen.items() if signature not in set(space))
    require(outside == 0, f"{outside} of {len(drawn)} draws are none of the {len(space)} possible ones")
    p = float(scipy.stats.chisquare([seen[s] for s in space]).pvalue)
    require(
        p > UNLIKELY,
        f"the {len(space)} possible draws are not equally likely: chi-square p = {p:.1e} over {len(drawn)} draws",
    )
    return f"{len(space)} possible draws, chi-square p = {p:.2f} over {len(drawn)}"


def untouched(subject: Subject) -> str:
    """Neither the observed object nor the state is changed by preparing and drawing."""
    observed = subject.observed()
    before = copied(observed)
    state = subject.state(observed)
    require(same(before, observed), "prepare() changes the observed object; work on a copy")
    kept = copied(state)
    subject.draws(SOME, state=state)
    require(same(before, observed), "draw() changes the observed object; work on a copy")
    require(same(kept, state), "draw() changes the state, so that a draw depends on those before it; work on a copy")
    return "observed object and state as they were"


def size(subject: Subject) -> str:
    """On data drawn from the null itself it rejects no more often than alpha."""
    null, problem = subject.null, test_problems.PROBLEMS[subject.null.randomises]
    world = problem.world(False, subject.one())
    source = subject.state(world.observed)
    low = 0
    for dataset in range(problem.datasets):
        at = 1 + dataset * (B + 1)
        drawn = problem.applied(world, subject.draws(range(at, at + 1), seed=11, state=source)[0])
        null_draws = subject.draws(range(at + 1, at + 1 + B), seed=12, state=subject.state(drawn.observed))
        low += _p(problem, drawn, null_draws) <= ALPHA + 1e-12
    most = int(scipy.stats.binom.ppf(1 - UNLIKELY, problem.datasets, ALPHA))
    said = f"{low} of {problem.datasets} data sets of the null itself rejected at {ALPHA:g}"
    require(
        low <= most, f"{said}; more than {most} is too many: p-values are too small ({null.name} is anti-conservative)"
    )
    return f"{said} ({most} allowed)"


def power(subject: Subject) -> str:
    """A planted effect, large, is found."""
    problem = test_problems.PROBLEMS[subject.null.randomises]
    world = problem.world(True, subject.one())
    p = _p(problem, world, subject.draws(range(1, 100), state=subject.state(world.observed)))
    require(p <= ALPHA, f"a large planted effect has p = {p:.2f}; the draws do not break what carries it")
    return f"p = {p:.2f}"


def p_value(subject: Subject) -> str:
    """No p-value can be 0: the observed object is one of the possible draws, and counts."""
    observed, drawn = subject.observed(), subject.draws(SOME)
    least = permutation_p(1e300, np.arange(len(drawn), dtype=np.float64)).value
    require(least > 0, "the smallest Monte-Carlo p is 0")
    space = space_of(subject.null, observed, drawn[0])
    if space is None:
        return f"Monte-Carlo only: at least 1/{1 + len(drawn)} with {len(drawn)} draws"
    itself = subject.null.signature(identity_of(observed, drawn[0]))
    exact = permutation_p(1.0, np.array([float(s == itself) for s in space]), exact=True).value
    require(exact > 0, f"the {len(space)} possible draws leave out the observed one, so that an exact p-value can be 0")
    return f"at least 1/{len(space)} by enumeration"


def round_trip(subject: Subject) -> str:
    """Declarations and state survive JSON, and the state that comes back gives the same draws."""
    null = subject.null
    told = {k: getattr(null, k) for k in ("name", "randomises", "exchangeable", "reference", "when")}
    told |= {"preserves": list(null.preserves), "breaks": list(null.breaks)}
    require(json.loads(json.dumps(told)) == told, "a declaration is no plain text")
    coder, state = Coder(), subject.state()
    back = coder.decoded(json.loads(json.dumps(coder.encoded(state))))
    require(same(state, back), "the state does not come back from JSON as it was")
    require(
        same(subject.draws(SOME, state=state), subject.draws(SOME, state=back)),
        "the state that came back draws otherwise",
    )
    return f"7 declarations and the state ({type(state).__name__})"


def cost(subject: Subject) -> str:
    """The cost of a draw is estimated, and a draw of the example is quick."""
    state = subject.state()
    operations = float(subject.null.cost(state))
    require(
        math.isfinite(operations) and operations > 0, f"cost() is {operations}; give a positive number of operations"
    )
    subject.draws(range(1, 2), state=state)  # compiled kernels compile on first use
    start = time.process_time()
    subject.draws(SOME, state=state)
    each = (time.process_time() - start) / len(SOME)
    require(each < 1.0, f"a draw of the example takes {each:.1f} s")
    return f"{operations:.3g} operations declared"


NULL_CHECKS: dict[str, Callable[[Subject], str]] = {
    f.__name__: f
    for f in (
        declared, citation, contract, repeat, batch, order, workers, seeds, invariants, variety, uniform, untouched,
        size, power, p_value, round_trip, cost,
    )
}  # fmt: skip
"""Every check of a null model, by its id, in order."""


def _tiles() -> list[range]:
    return [range(start, start + TILE) for start in range(1, 25, TILE)]


def _p(problem: test_problems.Problem, world: test_problems.Instance, null_draws: Sequence[Any]) -> float:
    identity = copied(identity_of(world.observed, null_draws[0]))
    alone = torch.as_tensor(identity) if isinstance(identity, np.ndarray) else identity
    observed = float(problem.statistic(world, [alone])[0])
    return permutation_p(observed, problem.statistic(world, null_draws)).value


__all__ = ["NULL_CHECKS", "Failed", "Subject"]
