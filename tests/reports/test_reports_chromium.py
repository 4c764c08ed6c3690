"""The page in a real browser: no console message, no request, nothing wider than the screen, nothing invisible."""

import json
import os
import re
import subprocess
from html import escape
from pathlib import Path

import pytest
from sample_results import hostile_result, sample_result

from neuronull.reports import compare, html, pdf, render

needs_browser = pytest.mark.skipif(pdf.browser() is None, reason="no Chromium, Chrome or Edge on PATH")
pytestmark = [pytest.mark.slow, needs_browser]

MEASURE = """
<!doctype html><body><iframe id=f style="border:0;width:%dpx;height:900px" srcdoc="%s"></iframe><pre id=out></pre>
<script>
onload = () => {
  const d = document.getElementById('f').contentDocument, wide = d.documentElement.clientWidth;
  const clipped = [], empty = [];
  for (const svg of d.querySelectorAll('svg')) {
    const box = svg.getBoundingClientRect();
    if (!svg.checkVisibility()) continue;
    if (box.width < 200 || box.height < 60) empty.push(svg.getAttribute('aria-label').slice(0, 60));
    for (const t of svg.querySelectorAll('text')) {
      const b = t.getBoundingClientRect();
      if (b.left < box.left - 2 || b.right > box.right + 2 || b.top < box.top - 2 || b.bottom > box.bottom + 2)
        clipped.push(t.textContent);
    }
  }
  const outside = [...d.querySelectorAll('body *')].filter(
    e => !e.closest('.scroll, svg, .skip') && e.getBoundingClientRect().right > wide + 1);
  document.getElementById('out').textContent = JSON.stringify({
    wide, scroll: d.documentElement.scrollWidth, figures: d.querySelectorAll('svg').length, clipped, empty,
    outside: outside.slice(0, 3).map(e => e.outerHTML.slice(0, 80))});
};
</script>
"""


def chromium(tmp_path, page, *options):
    target = tmp_path / "page.html"
    target.write_text(page)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    log = tmp_path / "net.json"
    done = subprocess.run(
        [
            pdf.browser(), "--headless", *root, "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", f"--log-net-log={log}",
            "--window-size=1600,1000", *options, target.as_uri(),
        ],
        capture_output=True, timeout=600, check=True,
    )  # fmt: skip
    return done.stdout.decode(), done.stderr.decode(errors="replace"), log


@pytest.mark.parametrize("width", [360, 1440])
@pytest.mark.parametrize("make", [sample_result, hostile_result])
def test_fits_a_phone_and_a_desk(tmp_path, make, width):
    page = html.render(make(), opened=True)
    dom, _, _ = chromium(tmp_path, MEASURE % (width, escape(page, quote=True)), "--dump-dom")
    seen = json.loads(re.search(r'<pre id="out">(.*?)</pre>', dom, re.S)[1].replace("&lt;", "<").replace("&gt;", ">"))
    assert seen["figures"] > 10
    assert seen["scroll"] <= seen["wide"], seen["outside"]
    assert seen["clipped"] == []
    assert seen["empty"] == []


AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))
"""Where npm puts it (``npm install --no-save axe-core``), or where the variable says."""


@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core (npm install --no-save axe-core, or set AXE_CORE)")
@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("several", [False, True], ids=["one run", "two runs"])
def test_axe_finds_no_violation(tmp_path, several, colours):
    runs = [sample_result(), sample_result("docs-pythia", seed=1)]
    page = compare.html(compare.compare(runs)) if several else html.render(runs[0], opened=True)
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)  # else it would not let axe in
    if colours == "dark":
        page = page.replace("@media (prefers-color-scheme: dark)", "@media all")
    run = "axe.run(document, {resultTypes: ['violations']}).then(r => { document.title = 'axe' + JSON.stringify("
    run += "r.violations.map(v => [v.id, v.impact, v.nodes.length, v.nodes[0].target])) })"
    page = page.replace("</body>", f"<script>{AXE.read_text()}</script><script>{run}</script></body>")
    dom, _, _ = chromium(tmp_path, page, "--virtual-time-budget=60000", "--dump-dom")
    assert re.search(r"<title>(axe.*?)</title>", dom, re.S)[1] == "axe[]"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (lambda: html.render(sample_result()), set()),
        (
            lambda: '<img src="http://asked.invalid/x.png">',
            {"http://asked.invalid/x.png"},
        ),  # that the test sees requests
    ],
    ids=["report", "a page that asks"],
)
def test_says_nothing_on_the_console_and_asks_for_nothing(tmp_path, page, expected):
    _, said, log = chromium(tmp_path, page(), "--dump-dom")
    assert "CONSOLE" not in said
    text = log.read_text()
    try:
        events = json.loads(text)["events"]
    except json.JSONDecodeError:  # the browser may leave without closing the list
        events = json.loads(text.rstrip().rstrip(",") + "]}")["events"]
    requests = [e["params"] for e in events if isinstance(e.get("params"), dict) and "initiator" in e["params"]]
    # the browser's own requests, such as for the time, have no page behind them
    asked = {r["url"] for r in requests if r["initiator"] != "not an origin" and r.get("url", "").startswith("http")}
    assert asked == expected


def test_prints_to_pdf(tmp_path):
    result = sample_result()
    for name, results in (("one", [result]), ("two", [result, sample_result("docs-pythia", seed=1)])):
        content = render(results, "pdf", tmp_path / f"{name}.pdf").read_bytes()
        assert content.startswith(b"%PDF")
        assert len(re.findall(rb"/Type\s*/Page\b", content)) >= 2
    assert compare.MOST_RUNS > 2
