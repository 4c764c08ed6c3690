"""Everything that is measured, on a device that is not the CPU: the same numbers, and nothing met from elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pretend_device import DEVICE, moved, pretended
from tiny_models import measured_with_heads, options_of

from neuronull.data.measurements import Measurements
from neuronull.data.models import LoadedModel, load_model
from neuronull.data.options import MeasureOptions
from neuronull.estimators import measure as measure_module
from neuronull.estimators.closed_form import ClosedForm
from neuronull.estimators.effects import measure_effects
from neuronull.estimators.joint_ablation import Sets, measure_joint_ablation
from neuronull.estimators.measure import measure

FAMILIES = ("gpt2", "gpt_neox", "llama")
FURTHER = ("gptj", "opt narrow", "gemma2 capped", "gemma3_text", "olmo2", "falcon new", "bloom", "granite")
"""Those whose path differs from the first ones' somewhere."""


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Measurements]], Measurements]:
    """Calls what it is given with every model that is loaded on the device."""

    def call(work: Callable[[], Measurements]) -> Measurements:
        def load(*arguments: object, **keywords: object) -> LoadedModel:
            return moved(load_model(*arguments, **keywords))

        with monkeypatch.context() as patched, pretended():
            patched.setattr(measure_module, "load_model", load)
            return work()

    return call


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    torch.testing.assert_close(a, b, rtol=1e-4, atol=2e-5, equal_nan=True)


def test_tensors_of_two_devices_do_not_meet():
    with pretended():
        there, here = torch.randn(3, 4).to(DEVICE), torch.randn(3, 4)
        assert there.device == DEVICE
        for meet in (lambda: there + here, lambda: here @ there.T, lambda: here[there.long()]):
            with pytest.raises(RuntimeError, match="same device"):
                meet()
        with pytest.raises(RuntimeError, match="same device"):
            there[torch.tensor([0])] = here[:1]
        assert there[torch.tensor([0, 2])].device == DEVICE  # indices may lie on the host
        there[:] = here  # and whole tensors may be copied
        assert torch.equal(there.cpu(), here)


EARLIER = [(family, 1) for family in FAMILIES]


@pytest.mark.parametrize(
    ("family", "layer"),
    [
        *((family, "last") for family in FAMILIES),
        EARLIER[0],
        *(pytest.param(*one, marks=pytest.mark.slow) for one in EARLIER[1:]),
    ],
)
def test_measurements(family: str, layer: str | int, on_device, tmp_path: Path):
    options = replace(options_of(family, tmp_path, "tiny", seed=0, inflation=1.5), layer=layer)
    there, here = on_device(lambda: measured_with_heads(options)), measured_with_heads(options)
    assert there.manifest.device == DEVICE.type
    for name in ("delta_loss", "activation", "w_in", "w_out"):
        close(getattr(there, name), getattr(here, name))
    close(there.heads.effect, here.heads.effect)
    np.testing.assert_allclose(there.neurons, here.neurons, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", FURTHER)
def test_measurements_of_further_families(family: str, on_device, tmp_path: Path):
    options = options_of(family, tmp_path, "tiny", seed=0, inflation=1.5)
    there, here = on_device(lambda: measured_with_heads(options)), measured_with_heads(options)
    close(there.delta_loss, here.delta_loss)
    # a norm after attention makes more of rounding: within what the audit of heads allows
    torch.testing.assert_close(there.heads.effect, here.heads.effect, rtol=1e-3, atol=1e-4, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_passes_its_audit(dtype: str, on_device, tmp_path: Path):
    options = replace(options_of("gpt_neox", tmp_path, "tiny", seed=0, inflation=1.5), dtype=dtype)
    there = on_device(lambda: measured_with_heads(options))
    assert there.manifest.extra("audit_heads")["max_tolerance_share"] < 1
    assert there.manifest.audit.model_dump()["method"] == "last norm and unembedding in float64"


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_joint_ablation_and_effects_on_distributions(family: str, on_device, tmp_path: Path):
    options = options_of(family, tmp_path, "tiny", seed=0, inflation=1.5)
    measured = measured_with_heads(options)
    reachable = np.flatnonzero(measured.heads.reachable & (measured.heads.head >= 0)).tolist()
    sets = Sets(((3,), (0, 7, 11, 30), tuple(range(25))), ((reachable[0],), tuple(reachable[1:4])))

    def more() -> Measurements:
        closed = measure_joint_ablation(replace(options), measured, sets, cache=False)
        return replace(closed, effects=measure_effects(options, measured, cache=False).effects)

    here, there = more(), on_device(more)
    close(there.joint_ablation.loss, here.joint_ablation.loss)
    close(there.effects.signed, here.effects.signed)
    close(there.effects.absolute, here.effects.absolute)


def test_entries_that_need_the_exact_way(on_device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    seen: list[float] = []
    whole = ClosedForm.effects

    def effects(self: ClosedForm, *arguments: torch.Tensor) -> torch.Tensor:
        found = whole(self, *arguments)
        seen.append(self.exact_entries / self.entries)
        return found

    monkeypatch.setattr(ClosedForm, "effects", effects)
    options: MeasureOptions = options_of("gpt2", tmp_path, "tiny", seed=0, inflation=6.0)
    there = on_device(lambda: measure(options, cache=False))
    assert 0.05 < seen[-1] < 1
    close(there.delta_loss, measure(options, cache=False).delta_loss)
