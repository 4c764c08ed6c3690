"""Liu 2025, "No Clustering, No Routing" (arXiv 2509.04479): the paper that this software began with."""

from __future__ import annotations

from pathlib import Path

from ...controls import RANDOM_WEIGHTS, UNREACHABLE_HEADS, WHOLE_LAYER
from ...neuron_sets import ByInfluence
from ...paper import Paper
from . import clusters, regimes, routing
from .claims import CLUSTERS, REGIMES, ROUTING
from .controls import PERMUTED_LABELS
from .scenarios import scenarios

PLATEAU = ByInfluence("plateau")

paper = Paper(
    id="liu2025",
    short="Liu (2025), \u201cNo Clustering, No Routing\u201d",
    citation="Liu (2025), No Clustering, No Routing: How Transformers Actually Process Rare Tokens",
    link="https://arxiv.org/abs/2509.04479",
    about="rare words",
    summary="Liu (2025) claims that language models give rare words (tokens) a small set of neurons of their own, that "
    "these neurons form no clusters, and that attention does not steer to them.",
    bibtex=(
        """@misc{liu2025routing,
  author = {Liu, Jing},
  title = {No Clustering, No Routing: How Transformers Actually Process Rare Tokens},
  year = {2025},
  eprint = {2509.04479},
  archivePrefix = {arXiv}
}""",
    ),
    set=PLATEAU,
    claims=(REGIMES, CLUSTERS, ROUTING),
    hypotheses=(
        regimes.flatness,
        regimes.contrast,
        regimes.flatness_b,
        regimes.shape,
        regimes.recruitment,
        clusters.within,
        clusters.core,
        clusters.by_each,
        clusters.rewired,
        clusters.cohesion,
        clusters.weights,
        clusters.index,
        routing.heads,
        routing.concentration,
        routing.profile,
        routing.joint_ablation,
    ),
    controls=(RANDOM_WEIGHTS, PERMUTED_LABELS, UNREACHABLE_HEADS, WHOLE_LAYER),
    terms=(
        (
            "Plateau",
            "The small set of neurons with the most influence on rare tokens, chosen on one half of the documents.",
        ),
        (
            "Rare, common",
            "Tokens beyond and within a frequency rank in the model\u2019s training text; the rank is under set-up.",
        ),
    ),
    scenarios=scenarios,
    record=Path(__file__).with_name("record.jsonl"),
    default=True,
)
