"""Figures: nothing clipped, nothing on top of something else, valid and repeatable SVG."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from sample_results import hostile_result, sample_result

from neuronull.hypotheses.result import Balance, HeadMap, Role
from neuronull.reports import multiverse
from neuronull.reports.figures import balance, curves, estimation, forest, heads, networks, save, specification, to_svg
from neuronull.reports.figures.album import save_album
from neuronull.reports.figures.canvas import Values, house_style, short
from neuronull.reports.figures.estimation import by_unit


def drawings(result):
    rows = {h: [f for f in result.findings if f.hypothesis == h] for h in {f.hypothesis for f in result.findings}}
    found = {
        f"estimation {h} {i}": estimation.estimation(group, known=result.nulls)
        for h, fs in sorted(rows.items())
        for i, group in enumerate(by_unit(fs))
    }
    found["curves"] = curves.influence_curves(result.curves, "plateau")
    found["map"], found["intervals"] = heads.drawings(result)
    found["overview"] = forest.overview(result)
    found["forest"] = forest.forest(["one", "a much longer name of a model"], [rows["clusters.within"][0]] * 2)
    found |= {f"twin {i}": d for i, d in enumerate(networks.twins(result.graphs))}
    found |= {
        f"universes {row.hypothesis}": specification.specification(result.multiverse, row)
        for row in multiverse.rows(result)
    }
    found |= {f"balance {i}": balance.love_plot(b) for i, b in enumerate(result.balance)}
    return found


@pytest.fixture(scope="module")
def drawn():
    return drawings(sample_result())


def boxes(figure):
    """Text of a figure with its place on the canvas."""
    with house_style():
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
        extents = [(t.get_text(), t.get_window_extent(canvas.get_renderer())) for t in texts]
    # ticks outside an axis' range are kept by matplotlib but not drawn
    ticks = {id(t): (lo, hi) for axes in figure.axes for t, lo, hi in _ticks(axes)}
    return [
        (text, box)
        for t, (text, box) in zip(texts, extents, strict=True)
        if id(t) not in ticks or ticks[id(t)][0] <= ticks[id(t)][1]
    ]


def _ticks(axes):
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            inside = low <= tick.get_loc() <= high
            for label in (tick.label1, tick.label2):
                yield label, 0 if inside else 1, 0.5


def test_no_text_is_clipped_or_covered(drawn):
    wrong = []
    for name, drawing in drawn.items():
        width, height = drawing.figure.bbox.width, drawing.figure.bbox.height
        found = boxes(drawing.figure)
        wrong += [
            (name, text, tuple(round(v) for v in box.extents))
            for text, box in found
            if box.x0 < -0.5 or box.y0 < -0.5 or box.x1 > width + 0.5 or box.y1 > height + 0.5
        ]
        for (a, one), (b, two) in itertools.combinations(found, 2):
            across = min(one.x1, two.x1) - max(one.x0, two.x0)
            up = min(one.y1, two.y1) - max(one.y0, two.y0)
            if across > 1 and up > 1.5:
                wrong.append((name, a, b))
    assert not wrong


def test_no_ground_stays_white_on_a_dark_page(drawn):
    """What is filled is filled with a colour that the page's theme can change; white under light text hides it."""
    for name, drawing in drawn.items():
        assert not re.search(r"fill: (#ffffff|white)", to_svg(drawing, "k")), name


def test_svg_is_valid_and_self_contained(drawn):
    for name, drawing in drawn.items():
        svg = to_svg(drawing, "key")
        ElementTree.fromstring(svg)
        ids = re.findall(r' id="([^"]+)"', svg)
        assert len(ids) == len(set(ids)), name
        assert all(i.startswith("key-") for i in ids)
        assert set(re.findall(r"(?:href=\"#|url\(#)([^\")]+)", svg)) <= set(ids)
        assert "http" not in svg
        assert "<style" not in svg


def test_equal_input_gives_equal_bytes(drawn, tmp_path):
    again = drawings(sample_result())
    for name in ("curves", "map", "twin 0", "overview"):
        assert to_svg(again[name], "a") == to_svg(drawn[name], "a")
        for suffix in ("pdf", "svg", "png"):
            one, two = (save(d[name], tmp_path / f"{i}.{suffix}") for i, d in enumerate((again, drawn)))
            assert one.read_bytes() == two.read_bytes()


def test_alternative_text_holds_the_numbers(drawn):
    assert "+.004" in drawn["estimation clusters.within 0"].alt
    assert "[−.010, .018]" in drawn["estimation clusters.within 0"].alt
    assert "24 heads" in drawn["map"].alt
    assert "+.31" in drawn["balance 0"].alt
    assert "1,536" in drawn["curves"].alt


def test_a_run_that_can_tell_nothing_does_not_squeeze_the_others():
    row = sample_result().finding("clusters.within")
    wide = row.model_copy(update={"verdict_low": -60.0, "verdict_high": 70.0})
    drawing = forest.forest(["narrow", "wide"], [row, wide])
    (axes,) = drawing.figure.axes
    assert axes.get_xlim()[1] < 1
    assert "Arrow: goes on beyond the axis." in drawing.caption
    assert "70" in drawing.alt
    assert "Arrow" not in forest.forest(["one", "two"], [row, row]).caption


def test_foreign_text_is_drawn_not_parsed():
    for drawing in drawings(hostile_result()).values():
        svg = to_svg(drawing, "k")
        ElementTree.fromstring(svg)
        assert "<script" not in svg


def test_panels_of_one_finding_share_their_axis(drawn):
    limits = {axes.get_xlim() for axes in drawn["estimation clusters.within 0"].figure.axes}
    assert len(limits) == 1


def test_a_narrow_null_does_not_flatten_the_others(drawn):
    """Every density fills its own panel."""
    drawing = drawn["estimation clusters.within 0"]
    panels = drawing.figure.axes[1:]
    assert len(panels) > 1
    tops = [row for row in drawing.values.rows if row[0] == "share of draws"]
    for axes, null in zip(panels, dict.fromkeys(row[1] for row in tops), strict=True):
        assert axes.get_ylim()[1] == pytest.approx(1.08 * max(row[4] for row in tops if row[1] == null))


def test_the_overview_is_grouped_by_claim_and_by_what_it_says():
    result = sample_result()
    axes = forest.overview(result).figure.axes[0]
    placed = {text.get_text(): text.xy[1] for text in axes.texts}
    headings = sorted((t for t in placed if t.startswith(("Claim", "Of no claim"))), key=placed.__getitem__)
    numbers = [int(h.split()[1]) for h in headings if h.startswith("Claim")]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) > 1
    for f in result.findings:
        title = result.hypothesis(f.hypothesis).title
        if f.role is Role.PRIMARY and title in placed:
            over = max((h for h in headings if placed[h] < placed[title]), key=placed.__getitem__)
            claim = next((c for c in result.claims if f.hypothesis in c.hypotheses), None)
            named = f"Claim {claim.number} ({f.kind}): {claim.title}" if claim else f"Of no claim ({f.kind})"
            assert over == short(named, 61)


def test_values_are_what_is_drawn(drawn):
    for name, drawing in drawn.items():
        assert drawing.values.rows, name
        assert {len(row) for row in drawing.values.rows} == {len(drawing.values.columns)}, name
        assert drawing.values.csv().count("\n") >= len(drawing.values.rows) + 1


def test_no_cell_of_a_figure_s_numbers_is_a_formula():
    assert Values(("a", "=b"), [("=1+1", -2.0)]).csv() == "a,'=b\n'=1+1,-2.0\n"


def test_a_two_way_row_is_not_drawn_twice():
    rows = [f for f in sample_result().findings if f.hypothesis == "regimes.contrast"]
    rows[0] = rows[0].model_copy(update={"null_draws": rows[1].null_draws})
    assert [r.null_model for r in estimation.panels(rows)] == ["document_swaps", "neuron_swaps"]
    assert [r.null_model for r in estimation.panels(rows[:1])] == ["document_swaps+neuron_swaps"]


@pytest.mark.slow
@pytest.mark.parametrize(("layers", "per_layer"), [(1, 2), (12, 12), (48, 25), (80, 64)])
def test_head_maps_of_real_sizes(layers, per_layer):
    n = layers * per_layer
    data = HeadMap(
        layer=[i // per_layer for i in range(n)],
        head=[i % per_layer for i in range(n)],
        reachable=[i % 7 != 0 for i in range(n)],
        value=[None if i % 7 == 0 or i % 5 == 0 else (i % 11) / 30 - 0.1 for i in range(n)],
        low=[None if i % 7 == 0 or i % 5 == 0 else (i % 11) / 30 - 0.2 for i in range(n)],
        high=[None if i % 7 == 0 or i % 5 == 0 else (i % 11) / 30 for i in range(n)],
        effect=[1.0] * n,
        note=[""] * n,
    )
    for drawing in (heads.head_map(data), heads.head_intervals(data)):
        assert len(to_svg(drawing, "k")) < 2_000_000
        assert max(drawing.figure.get_size_inches()) < 12


@pytest.mark.slow
def test_an_album_holds_every_figure(tmp_path):
    names = {p.name for p in save_album(sample_result(replicates=99), tmp_path)}
    assert {"overview.pdf", "curves.pdf", "head-map.pdf", "graph-3.pdf", "finding-clusters.within.pdf"} <= names
    assert all(p.read_bytes().startswith(b"%PDF") for p in tmp_path.glob("*.pdf"))
    assert {p.stem for p in tmp_path.glob("*.csv")} == {p.stem for p in tmp_path.glob("*.pdf")}


@pytest.mark.filterwarnings("ignore:Glyph")
def test_an_album_of_foreign_text_is_valid(tmp_path):
    written = save_album(hostile_result(), tmp_path, "svg")
    assert len(set(written)) == len(written)
    assert set(tmp_path.iterdir()) == {*written, *(path.with_suffix(".csv") for path in written)}
    for path in written:
        ElementTree.parse(path)


def test_nothing_to_draw_draws_nothing():
    none = HeadMap(layer=[0], head=[-1], reachable=[True], value=[None], low=[None], high=[None], effect=[0], note=[""])
    assert heads.head_map(none) is None
    assert heads.head_intervals(none) is None
    assert forest.overview(sample_result(replicates=19).model_copy(update={"findings": []})) is None


def test_balance_panels_that_are_compared_share_their_axis():
    sides = [Balance(label=label, rows=[("sd", value)]) for label, value in (("wide", -0.6), ("narrow", 0.1))]
    ends = {balance.love_plot(b, balance.reach(sides)).figure.axes[0].get_xlim() for b in sides}
    assert ends == {(-0.66, 0.66)}


def test_long_covariate_names_fit():
    drawing = balance.love_plot(Balance(label="x", rows=[("a_very_long_covariate_name_from_a_plug_in", 0.1)]))
    assert all(box.x0 >= 0 for _, box in boxes(drawing.figure))


def test_what_the_overview_cuts_off_is_told_as_a_number():
    result = sample_result()
    row = next(f for f in result.findings if f.role is Role.PRIMARY and f.margin and f.verdict_high is not None)
    row.verdict_high, row.verdict_low, row.estimate = 12.3 * row.margin, 5 * row.margin, 8 * row.margin
    texts = [text.get_text() for text in forest.overview(result).figure.axes[0].texts]
    assert sum(text.startswith("(to 12)") for text in texts) == 1
