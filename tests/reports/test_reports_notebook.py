"""Results and findings in a notebook, and the example notebook, run cell by cell."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cells import bundle, shown
from sample_results import sample_result

import neuronull as nn
from neuronull.hypotheses.catalogue import nulls
from neuronull.notebook import ShownFinding

EXAMPLE = Path(__file__).parents[2] / "docs" / "example.ipynb"
OWN_PLOTS = EXAMPLE.with_name("own-plots.ipynb")


@pytest.fixture(autouse=True)
def closed():
    """Without a screen, and no figure left open."""
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture
def result():
    return nn.RunResult(sample_result(replicates=99))


def test_a_finding_draws_itself_with_its_fellows_beside_it(result):
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes

    finding = result.finding("clusters.within")
    axes = finding.plot()
    assert isinstance(axes, Axes)
    low, high = axes.get_xlim()
    assert low < finding.estimate < high
    with_draws = [
        f for f in result.result.findings
        if f.hypothesis == "clusters.within" and f.unit == finding.unit and f.null_draws
    ]  # fmt: skip
    assert len(with_draws) > 1
    assert len(axes.figure.axes) == 1 + len(with_draws)
    assert axes.figure.number in plt.get_fignums(), "a notebook shows it at the end of the cell"


def test_what_was_not_run_has_no_plot(result):
    with pytest.raises(ValueError, match="no estimate to draw"):
        result.finding("routing.closure").plot()


def test_every_finding_that_is_listed_draws_itself(result):
    findings = result.findings
    assert all(isinstance(f, ShownFinding) for f in findings)
    assert findings[0].plot().figure.axes


def test_findings_and_results_have_html_and_text(result):
    finding = result.finding("clusters.within")
    assert finding == result.finding("clusters.within")
    assert "<table>" in finding._repr_html_()
    assert "<table>" in result._repr_html_()
    assert "Claim 2" in repr(result)
    assert repr(finding) == str(finding) == finding.sentence


def test_matplotlib_is_imported_by_the_plot_alone():
    told = "import sys, neuronull.notebook, neuronull.reports.notebook; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0


def test_the_example_notebook_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nulls, "_entries", dict(nulls._entries))
    values = [value for _, value in shown(EXAMPLE)]
    results = [v for v in values if isinstance(v, nn.RunResult)]
    (result,) = results
    assert result.finding("clusters.within").verdict == "refuted", "the modules are planted"
    assert any(isinstance(v, ShownFinding) for v in values)
    assert any("image/png" in bundle(v) for v in values if v is not None)
    assert next((name, failed) for name, _, _, failed in values[-2]) == ("anywhere", [])
    assert (tmp_path / "report.html").exists()


def test_the_stored_notebook_shows_what_its_cells_give():
    """Stored with: python tests/reports/cells.py docs/example.ipynb."""
    cells = [c for c in json.loads(EXAMPLE.read_text())["cells"] if c["cell_type"] == "code"]
    stored = [output["data"] for cell in cells for output in cell["outputs"]]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum("text/html" in data for data in stored) >= 3
    assert sum("image/png" in data for data in stored) == 1
    assert not re.search(r"/home/|/root/|/tmp/|/work/", EXAMPLE.read_text())


def test_plots_of_ones_own_from_frames_and_labelled_array(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    pictures = [value for _, value in shown(OWN_PLOTS) if value is not None and "image/png" in bundle(value)]
    assert len(pictures) == 3
    scatter, draws, documents = pictures
    assert len(scatter.lines[1].get_xdata()) >= 8, "the neurons of the set"
    assert {"reselected_sets", "matched_sets"} <= {label.get_text() for label in draws.get_yticklabels()}
    assert len(documents.get_lines()[0].get_xdata()) == 60
    stored = json.loads(OWN_PLOTS.read_text())["cells"]
    kept = [output["data"] for cell in stored for output in cell.get("outputs", [])]
    assert sum("image/png" in data for data in kept) == 3
    assert not re.search(r"/home/|/root/|/tmp/|/work/", OWN_PLOTS.read_text())
