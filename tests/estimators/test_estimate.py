"""What a measurement will take: stages scaled from a few documents, sizes from shapes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tiny_models import HEADS, NEURONS, WIDTH, measured_with_heads, options_of

from neuronull.data.store import save
from neuronull.estimators import estimate as module
from neuronull.estimators.estimate import ROUNDS, estimate, told

TOOK = {
    "forward pass": 8.0, "closed form": 1.0, "first tile": 3.0, "tile": 2.0, "influence": 10.0, "audit": 3.0,
    "head means": 2.0, "heads lowest": 1.0, "heads highest": 0.4, "heads both": 1.2,
}  # fmt: skip


def test_sizes_are_those_of_the_measurement(tmp_path: Path):
    options = options_of("llama", tmp_path, inflation=1.5)
    found, measured = estimate(options, True), measured_with_heads(options)
    assert (found.documents, found.positions, found.neurons) == (24, len(measured.panel), NEURONS)
    save(measured, tmp_path / "m")
    size = sum(file.stat().st_size for file in (tmp_path / "m").iterdir() if file.suffix == ".safetensors")
    assert found.disk == pytest.approx(size, rel=0.1)
    assert found.memory > found.disk
    assert found.total > 0
    assert "measuring takes about" in told(found)


def test_stages_grow_with_what_they_are_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    parts = []

    def fixed(inputs, documents, panel, clock, with_heads):
        parts.append(len(panel))
        clock.seconds |= TOOK
        clock.tile = 100

    monkeypatch.setattr(module, "_measure", fixed)
    options = options_of("gpt2", tmp_path, inflation=1.5)
    found = estimate(options, True)
    tiles, of_part = -(-found.positions // 100), -(-parts[-1] // 100)
    rest = (10 - 2 - 2 * of_part) * found.positions / parts[-1]
    assert found.seconds["influence"] == pytest.approx(2 + 2 * tiles + rest)
    assert found.seconds["forward pass"] == pytest.approx(8 * 24 / ROUNDS[-1])
    assert found.seconds["audit"] == pytest.approx(8 / ROUNDS[-1] * 2 * (16 + 6))
    assert found.seconds["heads"] == pytest.approx((0.2 + 0.8 + 0.5 + 0.2) * 24)  # .2 once for all layers
    part = estimate(replace(options, heads="1,2", head_documents=6), True)
    assert part.seconds["heads"] == pytest.approx((0.2 + 0.8 + 0.2) * 6)
    assert part.disk == pytest.approx(found.disk - 4 * (HEADS + 1) * 24 * 2 * NEURONS)
    without = estimate(options, False)
    assert "heads" not in without.seconds
    assert without.disk == 4 * (2 * without.positions * NEURONS + 2 * NEURONS * WIDTH)
    again = estimate(options, True, control=12)
    grows = sum(found.seconds[name] for name in ("forward pass", "influence", "head means", "heads"))
    same = again.total - again.seconds["random weights"]
    assert again.seconds["random weights"] == pytest.approx(same - grows / 2, rel=0.05)


@pytest.mark.parametrize(("seconds", "said"), [(99, "99 s"), (1200, "20 min"), (9000, "2.5 h")])
def test_length_is_told_in_a_unit_that_fits(seconds: float, said: str):
    found = module.Estimate({"heads": seconds}, 2**30, 2**30, 10, 20, 30)
    assert f"measuring takes about {said};" in told(found)
