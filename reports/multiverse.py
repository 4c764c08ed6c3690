"""The multiverse told: how often each verdict comes out, and which settings change it; sentences and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from ..hypotheses.result import ClaimVerdict, Finding, Multiverse, Outcome, Result, Role, Universe, Verdict
from . import subject
from .numbers import count, fixed, interval, p_cell, row_decimals
from .tables import Table, table_of

CAVEAT = (
    "Universes share the same model and mostly the same text, so they are not independent: how many of them agree is a "
    "description of how much the verdict hangs on choices, and no p-value. None of them is adjusted for the others. "
    "What flips a verdict: settings that change it where they alone differ from the run's."
)

ORDER = (Verdict.SUPPORTED, Verdict.REFUTED, Verdict.UNDETERMINED, Verdict.NOT_RUN)


@dataclass(frozen=True)
class Followed:
    """A claim or a hypothesis, followed through the universes that can differ in it.

    Attributes
    ----------
    own
        The run's verdict, from all its draws; None where the hypothesis decides nothing.
    universes, verdicts
        The run's own universe first.
    """

    name: str
    title: str
    own: Verdict | None
    universes: tuple[Universe, ...]
    verdicts: tuple[Verdict | None, ...]

    @cached_property
    def counts(self) -> Counter[Verdict]:
        """How many universes gave each verdict."""
        return Counter(v for v in self.verdicts if v is not None)

    @property
    def changed_alone(self) -> list[tuple[str, str, Verdict]]:
        """Settings that change the verdict when they alone differ from the run's: name, value, the other verdict."""
        own, changes = self.universes[0], []
        for universe, verdict in zip(self.universes[1:], self.verdicts[1:], strict=True):
            other = [name for name, value in universe.settings.items() if value != own.settings[name]]
            if len(other) == 1 and verdict not in (None, self.verdicts[0]):
                changes.append((other[0], universe.settings[other[0]], verdict))
        changes.sort(key=lambda change: list(own.settings).index(change[0]))
        return [(name, value, verdict) for name, value, verdict in changes if verdict is not None]

    @property
    def flips(self) -> str:
        """Which settings change the verdict, in words: alone, or only together, or none."""
        if self.changed_alone:
            return ", ".join(f"{name} {value} ({verdict})" for name, value, verdict in self.changed_alone)
        together = sum(v not in (self.verdicts[0], None) for v in self.verdicts)
        some = f"{count(together)} combination{'s do' if together > 1 else ' does'}"
        return f"none alone, {some}" if together else "none"

    @property
    def ways(self) -> str:
        """The same in few words, for a first screen."""
        if self.own is None or len(self.universes) < 2:
            return ""
        return f"Analysed in {count(len(self.universes))} ways, it came out the same in {count(self.counts[self.own])}."

    def sentence(self, replicates: int) -> str:
        """How often the run's verdict comes out again, and what else does."""
        if self.own is None:
            return f"{self.name} carries no verdict; its estimate alone is followed through the universes."
        others = [f"{v} in {count(self.counts[v])}" for v in ORDER if self.counts[v] and v is not self.own]
        untested = len(self.universes) - sum(self.counts.values())
        others += [f"not tested in {count(untested)}"] if untested else []
        told = f"The verdict on {self.name}, {self.own}, is the same in {count(self.counts[self.own])} of "
        told += f"{count(len(self.universes))} universes" + (f"; it is {', '.join(others)}." if others else ".")
        first = self.verdicts[0]
        if first not in (None, self.own):
            told += f" With {count(replicates)} draws the run's own settings give {first}."
        if not set(self.counts) - {first}:
            return told
        return f"{told} {'By itself, what changes it' if self.changed_alone else 'What changes it'}: {self.flips}."


def follow_claim(result: Result, claim: ClaimVerdict) -> Followed:
    """A claim; settings on which none of its hypotheses depends are left at the run's own."""
    universes = _differing(_of(result), claim.hypotheses)
    verdicts = tuple(u.claims.get(subject.claim_key(claim)) for u in universes)
    name = subject.claim_name(claim, subject.several([result]))
    return Followed(name[0].lower() + name[1:], f"{name}: {claim.title}", claim.verdict, universes, verdicts)


def follow(result: Result, row: Finding) -> Followed:
    """A hypothesis; settings on which it does not depend are left at the run's own."""
    universes = _differing(_of(result), [row.hypothesis])
    verdicts = tuple(o.verdict if (o := _outcome(u, row.hypothesis)) else None for u in universes)
    title = f"{result.hypothesis(row.hypothesis).title} ({row.hypothesis})"
    return Followed(row.hypothesis, title, row.verdict if row.role is Role.PRIMARY else None, universes, verdicts)


def _of(result: Result) -> Multiverse:
    if result.multiverse is None:
        raise ValueError("nothing was varied in this run, so it has one universe; give a run with a multiverse")
    return result.multiverse


def varied_for(multiverse: Multiverse, hypotheses: Sequence[str]) -> dict[str, list[str]]:
    """What was varied and bears on any of the hypotheses."""
    bearing = multiverse.bears_on
    return {n: v for n, v in multiverse.varied.items() if n not in bearing or set(bearing[n]) & set(hypotheses)}


def _differing(multiverse: Multiverse, hypotheses: Sequence[str]) -> tuple[Universe, ...]:
    """Universes but for those that only repeat others, as nothing that differs in them bears on the hypotheses."""
    idle = set(multiverse.varied) - set(varied_for(multiverse, hypotheses))
    own = multiverse.universes[0].settings
    return tuple(u for u in multiverse.universes if all(u.settings[name] == own[name] for name in idle))


def _outcome(universe: Universe, hypothesis: str) -> Outcome | None:
    return next((o for o in universe.outcomes if o.hypothesis == hypothesis), None)


def curve(multiverse: Multiverse, hypothesis: str) -> list[tuple[Universe, Outcome, float]]:
    """Universes with an estimate of the hypothesis, the smallest first; equal ones in their own order."""
    found = [(u, _outcome(u, hypothesis)) for u in _differing(multiverse, [hypothesis])]
    estimated = [(u, o, o.estimate) for u, o in found if o is not None and o.estimate is not None]
    return sorted(estimated, key=lambda item: item[2])


def rows(result: Result) -> list[Finding]:
    """The run's own rows of the hypotheses that have an estimate in more than one universe."""
    if result.multiverse is None:
        return []
    followed = dict.fromkeys(o.hypothesis for u in result.multiverse.universes for o in u.outcomes)
    held = {f.hypothesis for f in result.findings}
    return [result.finding(h) for h in followed if h in held and len(curve(result.multiverse, h)) > 1]


def intro(multiverse: Multiverse) -> str:
    """What was varied, and how the universes are tested."""
    varied = "; ".join(f"{name} {', '.join(values)}" for name, values in multiverse.varied.items())
    n = len(multiverse.universes)
    return (
        f"The verdicts again under every combination of {varied}: {count(n)} universe{'s' * (n != 1)}, the run's own "
        f"settings (the first value of each) among them, with {count(multiverse.replicates)} draws of each null model "
        "in each."
    )


def terms(multiverse: Multiverse) -> Table:
    """What each varied setting means and which values it took."""
    told = []
    for name, values in multiverse.varied.items():
        only = multiverse.bears_on.get(name)
        bears = f"; bears on {', '.join(only)} alone" if only else ""
        told.append((name, ", ".join(values), (multiverse.means.get(name, "") + bears).removeprefix("; ")))
    return table_of("What was varied", ("Setting", "Values, the run's own first", "Meaning"), told, words_in=(1, 2))


def followed(result: Result) -> list[Followed]:
    """The claims, and behind them the hypotheses that have a verdict; nothing where nothing was varied."""
    if result.multiverse is None:
        return []
    hypotheses = (follow(result, row) for row in rows(result))
    return [*(follow_claim(result, c) for c in result.claims), *(f for f in hypotheses if f.own is not None)]


def verdicts(result: Result) -> Table:
    """Per claim and per hypothesis: universes with each verdict, and the settings that change it."""
    told = [_counted(f) for f in followed(result)]
    columns = ("Claim or finding", "This run", "Universes", *(str(v).capitalize() for v in ORDER), "What flips it")
    return table_of("How often each verdict comes out", columns, told, words_in=(1, 7), note=CAVEAT)


def _counted(one: Followed) -> tuple[str, ...]:
    # a verdict that could have come out and did not is 0; the column of what was not run is there when needed
    counts = [count(one.counts[v]) if one.counts[v] or v is not Verdict.NOT_RUN else "" for v in ORDER]
    return (one.title, str(one.own), count(len(one.universes)), *counts, one.flips)


def every_universe(result: Result) -> Table:
    """One row per universe: its settings, the claims' verdicts, or why nothing was tested."""
    multiverse, told = result.multiverse, []
    names = list(multiverse.varied) if multiverse else []
    for i, u in enumerate(multiverse.universes if multiverse else (), 1):
        found = (str(u.claims.get(subject.claim_key(c), "")) for c in result.claims)
        told.append((f"{i}{' (this run)' * u.own}", *(u.settings[name] for name in names), *found, u.why_not))
    several = subject.several([result])
    claims = (subject.claim_name(c, several) for c in result.claims)
    columns = ("Universe", *(name.capitalize() for name in names), *claims, "Why not tested")
    return table_of("Every universe", columns, told, words_in=range(1, len(columns)))


def estimates(result: Result, row: Finding) -> Table:
    """One hypothesis in numbers, one row per universe, in the order of its specification curve."""
    multiverse = _of(result)
    d, names, told = decimals(row), list(varied_for(multiverse, [row.hypothesis])), []
    for u, o, estimate in curve(multiverse, row.hypothesis):
        first, *others = (u.settings[name] for name in names)
        p = p_cell(o.p_adjusted if o.verdict else o.p_value, replicates=multiverse.replicates, alpha=row.alpha)
        numbers = (fixed(estimate, d, sign=True), interval(o.verdict_low, o.verdict_high, d), p)
        told.append((first + " (this run)" * u.own, *others, *numbers, str(o.verdict or "")))
    measured = (f"Estimate ({row.unit})", "Interval", "Adjusted p" if row.margin else "p", "Verdict")
    columns = (*(name.capitalize() for name in names), *measured)
    caption = f"{result.hypothesis(row.hypothesis).title}, universe by universe"
    return table_of(caption, columns, told, words_in=(*range(len(names)), len(columns) - 1))


def decimals(row: Finding) -> int:
    """Decimals of a hypothesis in every universe: those of the run's own row."""
    return row_decimals(row) if row.estimate is not None else 3


def terminal_lines(result: Result) -> Iterable[tuple[str, str]]:
    """For the end of a run: what was varied, then one line per claim."""
    multiverse = result.multiverse
    if multiverse is None:
        return
    varied = " x ".join(f"{name} {','.join(values)}" for name, values in multiverse.varied.items())
    n = count(len(multiverse.universes))
    yield "multiverse", f"{n} universes: {varied}; B = {count(multiverse.replicates)}; they share data, no p-value"
    for claim in result.claims:
        one = follow_claim(result, claim)
        told = ", ".join(f"{v} in {count(one.counts[v])}" for v in ORDER if one.counts[v]) or "no verdict"
        changed = f"; what flips it: {one.flips}" if len(one.counts) > 1 else ""
        yield one.name[:1].upper() + one.name[1:], f"{told} of {count(len(one.universes))}{changed}"
