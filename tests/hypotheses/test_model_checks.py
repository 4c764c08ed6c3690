"""The checks of a model pass on every family, and each of them fails where what it looks for is broken."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from tiny_models import CONFIGS, FAMILIES, texts, tiny

from neuronull.data.adapters import adapter_for
from neuronull.hypotheses.checks.model_checks import MODEL_CHECKS, ModelSubject
from neuronull.hypotheses.checks.outcome import Check, ran

DOCUMENTS = texts(2, longest=14)
APPLY = [name for name in MODEL_CHECKS if name not in ("special_tokens", "counts")]


def outcome(check: str, subject: ModelSubject) -> Check:
    return ran(check, lambda: MODEL_CHECKS[check](subject))


@pytest.mark.parametrize("name", [*CONFIGS, *FAMILIES])
def test_every_family_passes(name: str):
    subject = ModelSubject(tiny(name), DOCUMENTS)
    with torch.no_grad():
        failed = [str(one) for check in APPLY if not (one := outcome(check, subject)).passed]
    assert not failed


def broken(name: str, **changed) -> ModelSubject:
    """A tiny model whose adapter says something else about it."""
    model = copy.deepcopy(tiny(name).model)
    adapter = adapter_for(model)
    adapter.__class__ = type("Broken", (type(adapter),), changed)
    return ModelSubject(replace(tiny(name), model=model, adapter=adapter), DOCUMENTS)


BROKEN = {
    "readout": lambda: broken("gemma", norm_adds_one=False),
    "neurons": lambda: broken("llama", w_out=lambda self, layer: self.neuron_site(layer).weight.T.flip(0)),
    "input_weights": lambda: broken("llama", w_in=lambda self, layer: self.neuron_site(layer).weight.T),
    "written": lambda: broken("granite", mlp_scale=1.0),
    "head_slices": lambda: broken("llama", heads=lambda self, layer: 8),
    "reachability": lambda: broken("gpt_neox", attention_feeds_mlp=lambda self, layer: True),
    "single_neurons": lambda: broken("granite", mlp_scale=1.0),
    "neurons_together": lambda: broken("granite", mlp_scale=1.0),
}


@pytest.mark.parametrize("check", BROKEN)
def test_a_wrong_adapter_is_found(check: str):
    with torch.no_grad():
        found = outcome(check, BROKEN[check]())
    assert found.passed is False, str(found)


def test_a_pass_that_does_something_else_is_found():
    subject = broken("opt")
    block = subject.loaded.adapter.blocks[1]
    own = block.forward
    block.forward = lambda hidden, **keywords: own(hidden, **keywords) * 1.001
    with torch.no_grad():
        assert outcome("unchanged", subject).passed is False


def test_a_norm_after_the_mlp_that_is_overlooked_is_found():
    with torch.no_grad():
        for check in ("written", "single_neurons"):
            assert outcome(check, broken("olmo2", mlp_norm_at=None)).passed is False


def test_half_precision_leaves_out_what_rounding_drowns():
    model = copy.deepcopy(tiny("llama").model).to(torch.bfloat16)
    subject = ModelSubject(replace(tiny("llama"), model=model, adapter=adapter_for(model)), DOCUMENTS)
    with torch.no_grad():
        found = {check: outcome(check, subject).passed for check in APPLY}
    assert found.pop("neurons_together") is None
    assert all(found.values()), found
