"""Clusters of documents are the units of chance: what they hold is added up, swapped and left out together."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from neuronull.data.errors import InputError
from neuronull.data.options import TestOptions
from neuronull.data.planted import Settings, planted_measurements
from neuronull.data.planted.measurements import planted
from neuronull.hypotheses import catalogue
from neuronull.hypotheses.prepared import PreparedData
from neuronull.hypotheses.result import Verdict
from neuronull.hypotheses.suite import run_suite

WORLD = Settings(documents=60, pairs=10, neurons=320, heads=6, loss_gap=0.1)
EVERY = ("influence", "activations", "weights", "heads", "effects")
IDS = [h for h in catalogue.known_hypotheses() if not h.endswith(".closure") and h != "emergence.trend"]


@pytest.fixture(scope="module")
def clustered() -> PreparedData:
    return PreparedData(planted_measurements(dataclasses.replace(WORLD, sources=20), 1, EVERY), "8")


def test_a_unit_is_a_cluster_and_a_document_alone_without(clustered):
    assert (clustered.n_units, len(clustered.documents)) == (20, 60)
    assert clustered.unit.tolist() == [d % 20 for d in range(60)]
    assert clustered.effective_units == 20
    alone = PreparedData(planted_measurements(WORLD, 1, ("influence",)), "8")
    assert alone.unit.tolist() == list(range(60))


@pytest.mark.parametrize("name", IDS)
def test_a_cluster_of_one_document_changes_no_number(name):
    made = planted(WORLD, 2, EVERY).measurements
    table = made.documents.assign(cluster=np.arange(60) * 7)
    again = dataclasses.replace(made, documents=table)
    options = TestOptions(replicates=99, only=(name,), set_size="8")
    assert run_suite(made, options).model_dump_json() == run_suite(again, options).model_dump_json()


@pytest.mark.parametrize("name", IDS)
def test_what_is_left_out_is_a_cluster_as_a_whole(name, clustered):
    """Leaving one unit out is what the same data without its documents say, where selections do not change."""
    bound = catalogue.hypothesis(name).statistic.bind(clustered)
    without = bound.leave_one_out()
    if without is None:
        return
    assert without.shape[0] == clustered.n_units


def test_influence_is_that_of_its_documents_added_up(clustered):
    made = clustered.measurements
    alone = PreparedData(dataclasses.replace(made, documents=made.documents.drop(columns="cluster")), "8")
    torch.testing.assert_close(clustered.influence, alone.influence)
    torch.testing.assert_close(clustered.influence_sums.x.sum(0), alone.influence_sums.x.sum(0))
    torch.testing.assert_close(clustered.head_effect(0)[3], sum(alone.head_effect(0)[d] for d in (3, 23, 43)))


def test_a_cluster_in_both_halves_is_refused(clustered):
    made = clustered.measurements
    table = made.documents.assign(cluster=np.arange(60) // 6)
    with pytest.raises(InputError, match="lie in both halves"):
        _ = PreparedData(dataclasses.replace(made, documents=table), "8").half


def test_of_few_clusters_nothing_is_excluded():
    world = dataclasses.replace(WORLD, documents=64, sources=8)
    result = run_suite(planted_measurements(world, 3), TestOptions(replicates=99, only=("clusters.cohesion",)))
    row = result.finding("clusters.cohesion")
    assert row.verdict is Verdict.UNDETERMINED
    assert "8 clusters that are worth 8.0 equal ones, 10 are needed" in row.notes
    assert (result.setup.n_clusters, result.setup.effective_clusters) == (8, 8)


def test_heads_that_a_source_favours_are_no_routing_once_sources_are_units():
    """Preference of a source's documents, none in the population of sources."""
    world = dataclasses.replace(
        WORLD, documents=96, pairs=6, sources=12, source_head_sd=0.3, head_class_sd=0.0, raised_both=3.0
    )
    found = {"sources": 0, "documents": 0}
    for seed in range(16):
        made = planted_measurements(world, seed, ("influence", "heads"))
        alone = dataclasses.replace(made, documents=made.documents.drop(columns="cluster"))
        for name, data in (("sources", made), ("documents", alone)):
            row = run_suite(data, TestOptions(replicates=59, only=("routing.heads",))).finding("routing.heads")
            found[name] += (row.p_value or 0) < 0.05
    assert found["documents"] >= 10
    assert found["sources"] <= 4
