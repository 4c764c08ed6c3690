"""Liu, Wang, Li 2025 (arXiv 2505.12822, 2509.21163): specialists, coordination, heavy tails, emergence."""

from __future__ import annotations

from pathlib import Path

from ...controls import RANDOM_WEIGHTS
from ...neuron_sets import ByInfluence
from ...paper import Paper
from . import coordination, emergence, specialists, tails
from .claims import CLAIMS
from .scenarios import scenarios

paper = Paper(
    id="liu2025_emergence",
    short="Liu, Wang, Li (2025), \u201cEmergent Specialization\u201d",
    citation="Liu, Wang, Li (2025), Emergent Specialization: Rare Token Neurons in Language Models, and Distributed "
    "Specialization: Rare-Token Neurons in Large Language Models",
    link="https://arxiv.org/abs/2505.12822",
    about="rare words",
    summary="Liu, Wang and Li (2025) claim that the neurons which matter most for rare words act in concert, have "
    "heavy-tailed weights, specialise, and come to do so over training.",
    bibtex=(
        """@misc{liu2025emergent,
  author = {Liu, Jing and Wang, Haozheng and Li, Yueheng},
  title = {Emergent Specialization: Rare Token Neurons in Language Models},
  year = {2025},
  eprint = {2505.12822},
  archivePrefix = {arXiv}
}""",
        """@misc{liu2025distributed,
  author = {Liu, Jing and Wang, Haozheng and Li, Yueheng},
  title = {Distributed Specialization: Rare-Token Neurons in Large Language Models},
  year = {2025},
  eprint = {2509.21163},
  archivePrefix = {arXiv}
}""",
    ),
    set=ByInfluence("plateau"),
    claims=CLAIMS,
    hypotheses=(
        specialists.selectivity,
        specialists.bent,
        specialists.joint_ablation,
        coordination.dimension,
        tails.weights,
        emergence.trend,
    ),
    controls=(RANDOM_WEIGHTS,),
    scenarios=scenarios,
    record=Path(__file__).with_name("record.jsonl"),
    default=True,
)
