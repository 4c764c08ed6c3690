"""Data frames of a run: what stands behind its rows, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import neuronull as nn
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.store import load, save
from neuronull.hypotheses.frames import NAMES
from neuronull.hypotheses.result import Role

ONLY = ("clusters.within", "clusters.weights", "routing.heads", "regimes.flatness")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> nn.RunResult:
    folder = tmp_path_factory.mktemp("frames")
    save(planted_measurements(Settings(), 0), folder / "m")
    return nn.run(measurements=folder / "m", only=ONLY, replicates=59, out=folder / "out")


def test_p_values_follow_from_the_draws(run: nn.RunResult):
    draws = run.draws()
    told = 0
    for finding in run.result.findings:
        if finding.role is not Role.SENSITIVITY or finding.hypothesis in ("routing.heads", "regimes.flatness"):
            continue  # several outputs are adjusted together; two sources of chance bound the p from below
        drawn = draws[(draws.hypothesis == finding.hypothesis) & (draws.null_model == finding.null_model)]
        values = drawn.sort_values("replicate").statistic.to_numpy()
        assert len(values) == finding.replicates + 1
        assert finding.p_value == pytest.approx((1 + np.sum(values[1:] >= values[0])) / len(values))
        told += 1
    assert told >= 4


def test_draws_are_those_of_every_row_and_replicate_0_is_observed(run: nn.RunResult):
    draws = run.draws()
    assert list(draws.columns) == ["hypothesis", "null_model", "output", "replicate", "estimate", "statistic"]
    observed = draws[(draws.hypothesis == "clusters.weights") & (draws.replicate == 0)]
    assert set(observed.null_model) == {"reselected_sets", "matched_sets"}
    assert observed.estimate.nunique() == 1
    assert not draws.duplicated(["hypothesis", "null_model", "output", "replicate"]).any()


def test_contrasts_average_to_the_estimate(run: nn.RunResult):
    mean = run.contrasts().groupby("hypothesis").contrast.mean()
    finding = run.finding("regimes.flatness")
    room = 0.3 * (finding.verdict_high - finding.estimate)
    assert mean["regimes.flatness"] == pytest.approx(finding.estimate, abs=room)
    assert run.contrasts().groupby(["hypothesis", "output"]).unit.nunique().eq(finding.n_documents).all()


def test_neurons_are_those_that_were_measured(run: nn.RunResult, tmp_path: Path):
    neurons, measured = run.neurons(), load(run.out.parent / "m")
    assert len(neurons) == measured.n_neurons
    pd.testing.assert_series_equal(neurons["sd"], measured.neurons["sd"], check_index=False)
    for half in (0, 1):
        inside = neurons[neurons[f"in_plateau_{half}"]]
        outside = neurons[~neurons[f"in_plateau_{half}"]]
        assert 8 <= len(inside) < 30
        assert inside[f"influence_rare_{half}"].min() > outside[f"influence_rare_{half}"].max()


def test_heads_are_means_of_their_effects(run: nn.RunResult):
    heads, measured = run.heads(), load(run.out.parent / "m").heads
    assert np.array_equal(heads["layer"], measured.layer)
    rare = measured.effect.numpy()[:, :, 0].astype(np.float64)
    np.testing.assert_allclose(heads["effect_rare"], np.nanmean(rare, axis=(1, 2)), rtol=1e-6)
    assert {"effect_common", "effect_rare_plateau", "effect_common_plateau"} <= set(heads.columns)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_on_disk_is_what_was_in_memory(run: nn.RunResult, name: str):
    found = getattr(nn.load(run.out), name)()
    pd.testing.assert_frame_equal(found, getattr(run, name)())


def test_equal_runs_leave_equal_frames(run: nn.RunResult, tmp_path: Path):
    nn.run(measurements=run.out.parent / "m", only=ONLY, replicates=59, jobs=1, out=tmp_path / "again")
    for name in NAMES:
        assert (tmp_path / "again" / f"{name}.parquet").read_bytes() == (run.out / f"{name}.parquet").read_bytes()


def test_as_xarray(run: nn.RunResult):
    found = run.to_xarray()
    drawn = run.draws()
    row = found.estimate.sel(row="clusters.weights matched_sets").values
    alone = drawn[(drawn.hypothesis == "clusters.weights") & (drawn.null_model == "matched_sets")]
    assert np.array_equal(row, alone.sort_values("replicate").estimate)


def test_a_run_of_an_older_version_says_so(run: nn.RunResult, tmp_path: Path):
    (tmp_path / "results.json").write_bytes((run.out / "results.json").read_bytes())
    with pytest.raises(nn.InputError, match=r"left no draws\.parquet"):
        nn.load(tmp_path).draws()
    (tmp_path / "draws.parquet").write_text("no")
    with pytest.raises(nn.InputError, match=r"draws\.parquet cannot be read"):
        nn.load(tmp_path).draws()
    with pytest.raises(nn.InputError, match="this result has no heads"):
        nn.RunResult(nn.load(tmp_path).result).heads()


def test_figures_and_axes_of_ones_own(run: nn.RunResult, tmp_path: Path):
    import matplotlib.pyplot as plt

    made = run.figures(tmp_path / "figures")
    assert {path.suffix for path in made} == {".svg"}
    assert all(path.stat().st_size > 1000 for path in made)
    figure, axes = plt.subplots()
    for name in ("clusters.within", "clusters.weights"):
        assert run.finding(name).plot(ax=axes) is axes
    assert len(axes.containers) == 2
    centre = axes.containers[0].lines[0].get_xdata()
    assert centre == pytest.approx([run.finding("clusters.within").estimate])
    plt.close(figure)


def test_measurements_are_kept_where_that_is_asked_for(tmp_path: Path):
    options = {"documents": 20, "context": 96, "only": "clusters.weights", "replicates": 39}
    first = nn.run(**options, keep_measurements=True, out=tmp_path / "out")
    kept = tmp_path / "out" / "measurements"
    again = nn.run(measurements=kept, only="clusters.weights", replicates=39)
    assert again.finding("clusters.weights").estimate == first.finding("clusters.weights").estimate
    with pytest.raises(nn.InputError, match="lie in a directory already"):
        nn.run(measurements=kept, keep_measurements=True)


def test_a_set_that_cannot_be_had_ends_no_run(run: nn.RunResult):
    """Heads are there, and what the paper's neurons are chosen by is not."""
    found = nn.run(measurements=run.out.parent / "m", paper="stolfo2024", replicates=99)
    assert {finding.verdict for finding in found.result.findings if finding.verdict} == {"not run"}
    assert not [name for name in found.heads() if name.endswith("_entropy")]
    assert "effect_rare" in found.heads()
