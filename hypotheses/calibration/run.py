"""Makes planted data sets by the thousand, tests each, and writes one line a finished chunk."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.stats

from ...data.errors import InputError
from ...data.options import DEFAULT_SIZE, Progress, Silent, TestOptions
from ...data.planted import JointSettings, Planted, Truth, planted, planted_joint_ablation
from .. import catalogue
from ..choice import Choice
from ..claim_verdicts import held_against, verdict_on
from ..engine import assess, reported_null, sample
from ..findings import judge_family
from ..hypothesis import Hypothesis, null_names
from ..joint_sets import joint_sets
from ..prepared import MOST_INFLUENTIAL, PreparedData
from ..result import Outcome, Role
from ..suite import assess_under, judge, serving
from ..threads import limited_to
from ..truth import TrueWorld
from ..views import prepare
from .plasmode import PlasmodeScenario, opened, plasmode_world
from .scenario import Scenario
from .scenarios import scenarios

CHUNK = 20
"""Data sets a chunk: what is lost when a run is cut off."""
TRUTH_EVERY = 4
"""Of thousands of data sets coverage is measured on every fourth: finding the truth costs as much as the test."""
OUTPUT = ("estimate", "ci_low", "ci_high", "verdict_low", "verdict_high", "truth", "doubt", "skewness")
"""What is kept of each output of an statistic; doubt is 1 where the finding says that coverage was not shown; skewness
is that of the document contrasts."""
REPLICATES = 199
ALPHA = 0.05
FORMAT = "3"
"""Another one whenever results of the same data sets change, so that a journal does not mix them."""


@dataclass(frozen=True)
class Chunk:
    """A range of data sets of one scenario; the results are a function of it alone."""

    scenario: str
    hypotheses: tuple[str, ...]
    first: int
    count: int
    directory: str = ""
    """Of the measurement that the data sets are made from; empty where they are planted."""

    @property
    def world(self) -> Scenario | PlasmodeScenario:
        """What its data sets are of."""
        if self.directory:
            return plasmode_world(self.directory, self.scenario)
        return scenarios()[self.scenario]

    @property
    def key(self) -> str:
        """Name under which it is stored."""
        world, tests = self.world.fingerprint, declared(self.hypotheses)
        return f"{self.scenario}|{','.join(self.hypotheses)}|{self.first}|{self.count}|{world}|{tests}|{REPLICATES}"


def declared(hypotheses: Sequence[str]) -> str:
    """Hash of what the hypotheses declare (criterion, null models), so that results of another test are none of its."""
    known = [catalogue.hypothesis(h) for h in hypotheses]
    told = [(h.id, repr(h.criterion), null_names(h.nulls)) for h in known]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]


def run_chunk(chunk: Chunk) -> dict[str, Any]:
    """One line of the journal: a row a data set and hypothesis."""
    rows: dict[str, list[dict[str, Any]]] = {h: [] for h in chunk.hypotheses}
    line = {"format": FORMAT, "key": chunk.key, "scenario": chunk.scenario, "first": chunk.first, "rows": rows}
    with limited_to(1):  # workers are the parallelism, and sums do not depend on the machine
        world = chunk.world
        if isinstance(world, PlasmodeScenario):
            _plasmode_rows(chunk, rows)
        elif world.claim:
            numbers = range(chunk.first, chunk.first + chunk.count)
            line |= {"rows": {}, "claim": world.claim, "verdicts": [claim_verdict(world, index) for index in numbers]}
        else:
            _planted_rows(chunk, rows)
    return line


def claim_verdict(scenario: Scenario, index: int) -> str:
    """Verdict on a scenario's claim in one data set: its hypotheses judged together, as in a run."""
    paper_id, _, number = scenario.claim.partition(":")
    paper = catalogue.papers.get(paper_id)
    claim = next(one for one in paper.claims if one.number == int(number))
    made = planted(scenario.settings, dataset_seed(scenario.name, index), scenario.pieces)
    data = PreparedData(made.measurements, str(scenario.settings.n_head))
    assessed = []
    for name in scenario.hypotheses:
        hypothesis = _with_set(catalogue.hypothesis(name))
        own = data.of(hypothesis.set or MOST_INFLUENTIAL, hypothesis.alike or None)
        bound = hypothesis.statistic.bind(own)
        options = TestOptions(replicates=REPLICATES, seed=index, jobs=1)
        assessed.append(assess_under(hypothesis, bound, own, options, Silent(), with_details=False))
    verdicts = {name: judged.decision.verdict for name, judged in judge(assessed, ALPHA).items()}
    outcomes = [Outcome(hypothesis=one.hypothesis.id, p_value=one.p.value) for one in assessed]
    return str(verdict_on(claim, paper, verdicts, held_against(claim, outcomes, ALPHA)))


def _plasmode_rows(chunk: Chunk, rows: dict[str, list[dict[str, Any]]]) -> None:
    world, (source, _) = plasmode_world(chunk.directory, chunk.scenario), opened(chunk.directory)
    for index in range(chunk.first, chunk.first + chunk.count):
        rng = np.random.default_rng(dataset_seed(world.name, index))
        data = PreparedData(source.draw(world.world, rng, world.strength), DEFAULT_SIZE)
        for name in chunk.hypotheses:
            rows[name].append(test(catalogue.hypothesis(name), data, None, index, False, None))


def _planted_rows(chunk: Chunk, rows: dict[str, list[dict[str, Any]]]) -> None:
    scenario = scenarios()[chunk.scenario]
    for index in range(chunk.first, chunk.first + chunk.count):
        seed = dataset_seed(scenario.name, index)
        with_truth = scenario.purpose != "null" or index % TRUTH_EVERY == 0
        made = planted(scenario.settings, seed, scenario.pieces)
        twin = None
        if with_truth and scenario.setting and scenario.joint_ablation is None:
            without: dict[str, Any] = {scenario.setting: 0.0}
            twin = planted(replace(scenario.settings, **without), seed, scenario.pieces).truth
        if scenario.joint_ablation is not None:
            made = with_joint_ablation(
                scenario.joint_ablation, made, scenario.settings.n_head, chunk.hypotheses, seed, index
            )
        data = PreparedData(made.measurements, str(scenario.settings.n_head))
        for name in chunk.hypotheses:
            rows[name].append(test(catalogue.hypothesis(name), data, made, index, with_truth, twin))


def with_joint_ablation(
    settings: JointSettings, made: Planted, n_head: int, hypotheses: Sequence[str], seed: int, index: int
) -> Planted:
    """The planted world with the joint ablations that its hypotheses will look up, as a run measures them."""
    options = TestOptions(set_size=str(n_head), replicates=REPLICATES, seed=index)
    choice = Choice((), tuple(_with_set(catalogue.hypothesis(name)) for name in hypotheses), ())
    sets = joint_sets(prepare(made.measurements, choice, options), options)
    found = planted_joint_ablation(settings, made, sets.table, seed)
    return Planted(
        replace(made.measurements, joint_ablation=found.joint_ablation), replace(made.truth, joint_ablation=found.truth)
    )


def dataset_seed(scenario: str, index: int) -> int:
    """Seed of a data set, from the scenario's name and its number alone."""
    return int(np.random.SeedSequence([zlib.crc32(scenario.encode()), index]).generate_state(1)[0])


def _with_set(hypothesis: Hypothesis) -> Hypothesis:
    """The hypothesis with the set that its paper names, if it names none itself."""
    return replace(hypothesis, set=catalogue.set_of(hypothesis) or MOST_INFLUENTIAL)


def test(
    hypothesis: Hypothesis,
    data: PreparedData,
    made: Planted | None,
    index: int,
    with_truth: bool,
    twin: Truth | None,
) -> dict[str, Any]:
    """P-value, verdict (of the row alone, without Holm) and, for each output, the values of `OUTPUT`.

    `made`: what was planted, where the truth is asked for.
    """
    hypothesis = _with_set(hypothesis)
    data = data.of(hypothesis.set or MOST_INFLUENTIAL, hypothesis.alike or None)
    bound = hypothesis.statistic.bind(data)
    nulls, _ = serving([catalogue.null_of(null) for null in hypothesis.nulls], bound)
    sampled = tuple(sample(bound, null, data, REPLICATES, index) for null in nulls)
    found = assess(hypothesis, bound, data, sampled, ALPHA, with_details=False)
    truth = np.full(len(found.outputs), np.nan)
    if with_truth and made is not None:
        held = reported_null(sampled)
        world = TrueWorld(hypothesis.statistic, bound, data, made.truth, twin, nulls[held], sampled[held], index)
        truth = bound.true_values(world)
    outputs = []
    for output, true in zip(found.outputs, truth.tolist(), strict=True):
        document = output.document
        low, high = (document.low, document.high) if document is not None else (None, None)
        values = (
            output.estimate, low, high, output.verdict.low, output.verdict.high, true,
            float(bool(output.coverage_warning)),
            None if output.contrasts is None else float(scipy.stats.skew(output.contrasts)),
        )  # fmt: skip
        outputs.append([_short(x) for x in values])
    row: dict[str, Any] = {"p": _short(found.p.value), "outputs": outputs}
    if hypothesis.role is Role.PRIMARY:
        row["verdict"] = str(judge_family([found], ALPHA)[0].decision.verdict)
    return row


def _short(x: float | None) -> float | None:
    return None if x is None or not np.isfinite(x) else float(f"{x:.6g}")


@contextmanager
def one_thread_a_worker() -> Iterator[None]:
    """The same for processes that are started meanwhile, from their first import on."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def chunks(chosen: Sequence[Scenario | PlasmodeScenario], datasets: int) -> list[Chunk]:
    """All chunks, scenarios side by side, so that a run that is cut off has the same share of each."""
    made = []
    for scenario in chosen:
        total = scenario.datasets(datasets)
        for start in range(0, total, CHUNK):
            directory = scenario.directory if isinstance(scenario, PlasmodeScenario) else ""
            chunk = Chunk(scenario.name, scenario.hypotheses, start, min(CHUNK, total - start), directory)
            made.append((start / total, chunk))
    return [chunk for _, chunk in sorted(made, key=lambda pair: pair[0])]


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Finished chunks of a journal; a last line that was cut off is dropped from the file.

    Raises
    ------
    InputError
        If a whole line is not a chunk of this format.
    """
    if not path.exists():
        return []
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if len(whole) < len(text):
        path.write_bytes(whole)
    try:
        lines = [json.loads(line) for line in whole.splitlines()]
        kept = [line for line in lines if line["format"] == FORMAT]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise InputError("not a calibration journal", str(path), "give another --out") from None
    return kept


def calibrate(
    chosen: Sequence[Scenario | PlasmodeScenario],
    datasets: int,
    jobs: int,
    journal: Path,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Run every chunk that the journal lacks; returns the finished chunks asked for, in the order of `chunks`.

    Results are the same for any `jobs`.  Workers are spawned processes.  An interrupt ends the work;
    what was finished by then is returned, and a later call goes on from there.
    """
    wanted = chunks(chosen, datasets)
    done = {line["key"]: line for line in read_journal(journal)}
    left = [chunk for chunk in wanted if chunk.key not in done]
    journal.parent.mkdir(parents=True, exist_ok=True)
    with (
        journal.open("a", encoding="utf-8") as file,
        (progress or Silent()).stage("calibrate", len(left)) as stage,
        suppress(KeyboardInterrupt),
    ):
        for line in _run(left, jobs):
            file.write(json.dumps(line, separators=(",", ":")) + "\n")
            file.flush()
            done[line["key"]] = line
            stage.advance()
    return [done[chunk.key] for chunk in wanted if chunk.key in done]


def _deaf_to_interrupts() -> None:
    """Ctrl-C reaches a whole process group; workers leave it to the process that owns them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _run(left: Sequence[Chunk], jobs: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        yield from map(run_chunk, left)
        return
    spawn = multiprocessing.get_context("spawn")
    with one_thread_a_worker(), ProcessPoolExecutor(jobs, spawn, _deaf_to_interrupts) as pool:
        waiting = iter(left)
        running: set[Future[dict[str, Any]]] = {
            pool.submit(run_chunk, c) for _, c in zip(range(2 * jobs), waiting, strict=False)
        }
        try:
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                running |= {pool.submit(run_chunk, c) for _, c in zip(finished, waiting, strict=False)}
                yield from (future.result() for future in finished)
        except KeyboardInterrupt:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
