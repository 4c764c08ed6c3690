"""Stolfo et al. 2024, "Confidence Regulation Neurons in Language Models" (arXiv 2406.16254)."""

from __future__ import annotations

from pathlib import Path

from ...controls import RANDOM_WEIGHTS
from ...paper import Paper
from . import entropy, frequency
from .claims import FREQUENCY, SCALE, WEIGHTS
from .scenarios import scenarios
from .sets import ENTROPY_BY_WEIGHTS

paper = Paper(
    id="stolfo2024",
    short="Stolfo et al. (2024), \u201cConfidence Regulation Neurons\u201d",
    citation="Stolfo, Wu, Gurnee, Belinkov, Song, Sachan, Nanda (2024), Confidence Regulation Neurons in Language "
    "Models",
    link="https://arxiv.org/abs/2406.16254",
    about="confidence regulation",
    summary="Stolfo et al. (2024) claim that language models regulate their confidence with two kinds of last-layer "
    "neurons: entropy neurons, which act through the final norm's scale, and token-frequency neurons, which move "
    "the output towards or away from the unigram distribution.",
    bibtex=(
        """@misc{stolfo2024confidence,
  author = {Stolfo, Alessandro and Wu, Ben and Gurnee, Wes and Belinkov, Yonatan and Song, Xingyi and Sachan, Mrinmaya
    and Nanda, Neel},
  title = {Confidence Regulation Neurons in Language Models},
  year = {2024},
  eprint = {2406.16254},
  archivePrefix = {arXiv}
}""",
    ),
    set=ENTROPY_BY_WEIGHTS,
    claims=(WEIGHTS, SCALE, FREQUENCY),
    hypotheses=(
        entropy.norm,
        entropy.nullspace,
        entropy.scale,
        entropy.frequency,
        frequency.unigram,
        frequency.direction,
    ),
    controls=(RANDOM_WEIGHTS,),
    limits=(
        (
            "The neurons are chosen by a rule of ours.",
            "The paper names its neurons by inspection, in models of its own choice. Here entropy neurons are a fixed "
            "number of neurons at the top of a score of weights; where weights are tested, of a score of effects "
            "(the scale-acting neurons). --set tests a list of yours in "
            "place of those chosen by weights.",
        ),
        (
            "Moving to or from the unigram distribution decides nothing.",
            "A neuron chosen for the share of its effect that goes through token frequencies moves the output to or "
            "from token frequencies by construction, and as much so in random weights: frequency.unigram stands beside "
            "the claim, which rests on where the weights point.",
        ),
        (
            "Only the last layer can be tested.",
            "What a neuron does to the whole distribution is exact there, and is not measured in earlier layers.",
        ),
        (
            "Frozen effects are parts, not causes.",
            "The effect with the scale frozen and the part through the scale need not add up: absolute changes of the "
            "loss are compared, and the parts may work against each other.",
        ),
    ),
    terms=(
        (
            "Entropy neuron",
            "A last-layer neuron with large output weights that hardly move the logits by themselves; it acts by "
            "making the residual stream longer, so that the final norm shrinks all else.",
        ),
        (
            "Token-frequency neuron",
            "A neuron that raises or lowers the logits of all tokens by how frequent they are.",
        ),
        (
            "Direct effect",
            "Change of the loss when a neuron is ablated and the final norm's scale stays where it was.",
        ),
        (
            "Unigram distribution",
            "How frequent tokens are in the model's training text, whatever the context.",
        ),
    ),
    scenarios=scenarios,
    record=Path(__file__).with_name("record.jsonl"),
)
