"""Cards of results made up in code: what papers, hypotheses, conditions and sets are told by."""

from __future__ import annotations

from neuronull.hypotheses.result import (
    ConditionCard,
    Conditions,
    HypothesisCard,
    PaperCard,
    SetCard,
    Verdict,
)

LIU2025ROUTING = """@misc{liu2025routing,
  author = {Liu, Jing},
  title = {No Clustering, No Routing: How Transformers Actually Process Rare Tokens},
  year = {2025},
  eprint = {2509.04479},
  archivePrefix = {arXiv}
}"""

LIU2025EMERGENT = """@misc{liu2025emergent,
  author = {Liu, Jing and Wang, Haozheng and Li, Yueheng},
  title = {Emergent Specialization: Rare Token Neurons in Language Models},
  year = {2025},
  eprint = {2505.12822},
  archivePrefix = {arXiv}
}"""

TRAAG2019 = """@article{traag2019,
  author = {Traag, V. A. and Waltman, L. and van Eck, N. J.},
  title = {From Louvain to Leiden: Guaranteeing Well-Connected Communities},
  journal = {Scientific Reports},
  volume = {9}, number = {5233}, year = {2019}
}"""

WESTFALL1993 = """@book{westfall1993,
  author = {Westfall, Peter H. and Young, S. Stanley},
  title = {Resampling-Based Multiple Testing},
  publisher = {Wiley}, year = {1993}
}"""

MASLOV2002 = """@article{maslov2002,
  author = {Maslov, Sergei and Sneppen, Kim},
  title = {Specificity and Stability in Topology of Protein Networks},
  journal = {Science},
  volume = {296}, number = {5569}, pages = {910--913}, year = {2002}
}"""

CARDS = [
    HypothesisCard(
        id="regimes.contrast",
        papers=["liu2025"],
        title="A flatter top for rare than for common",
        asks="Is the top of the influence curve flatter for rare tokens than for common ones?",
        measured=(
            "The bend of the curve for rare tokens less the bend for common tokens, neurons ranked on "
            "one half of the documents and measured on the other."
        ),
        plus=("the influence of the top neurons levels off more for rare tokens than for common ones"),
        minus=(
            "the influence of the top neurons climbs faster for rare tokens than for common ones, the "
            "opposite of a plateau"
        ),
        none=("the influence of the top neurons levels off no more for rare tokens than for common ones"),
        set="plateau",
        figures=["curves"],
    ),
    HypothesisCard(
        id="regimes.selectivity",
        papers=["liu2025"],
        title="Specialist neurons",
        asks=("Do rare tokens have neurons that matter for them far more than for common tokens?"),
        measured=(
            "Mean log ratio of influence on rare to common tokens over the rare plateau, plus the "
            "mirrored ratio over the plateau chosen on common tokens, so that ordinary differences "
            "between neurons cancel. Chosen on one half of the documents, measured on the other."
        ),
        plus="rare tokens have specialist neurons",
        minus="the plateau works more for common tokens than for rare ones",
        none="rare tokens have no specialist neurons worth the name",
        set="plateau",
        figures=["curves"],
    ),
    HypothesisCard(
        id="regimes.recruitment",
        papers=["liu2025"],
        title="Number of neurons recruited",
        asks="Is the work spread over more neurons for rare tokens than for common ones?",
        measured=(
            "Log ratio of the effective number of neurons (exponential of the entropy of influence), rare to common."
        ),
        plus="rare tokens use more neurons than common ones",
        minus="rare tokens use fewer neurons than common ones",
        none="rare and common tokens use equally many neurons",
        set="plateau",
        figures=["curves"],
    ),
    HypothesisCard(
        id="clusters.within",
        papers=["liu2025"],
        title="Modules inside the plateau",
        asks=("Do the plateau neurons fall into groups that fire together, more than ordinary neurons do?"),
        measured=(
            "Groups are found on one half of the documents and scored on the other: mean correlation "
            "inside the groups less that between them. From that the same is taken off for sets of "
            "ordinary neurons matched on activity and weights."
        ),
        plus="the plateau neurons fall into modules more than ordinary neurons do",
        minus="the plateau neurons are less modular than ordinary neurons",
        none="the plateau neurons form no more modules than ordinary neurons do",
        set="plateau",
        figures=["graphs"],
        bibtex=[TRAAG2019],
    ),
    HypothesisCard(
        id="clusters.rewired",
        papers=["liu2025"],
        title="Modules beyond the degrees",
        asks=("Is the plateau's co-activation graph more modular than its degrees imply, compared with ordinary sets?"),
        measured=(
            "Modularity of the graph less that of its rewired twins, ranked among the same excess of matched sets."
        ),
        plus="the plateau's graph is more modular than those of ordinary sets",
        minus="the plateau's graph is less modular than those of ordinary sets",
        none="the plateau's graph is as modular as those of ordinary sets",
        set="plateau",
        figures=["graphs"],
    ),
    HypothesisCard(
        id="clusters.cohesion",
        papers=["liu2025"],
        title="The plateau as one module",
        asks="Do the plateau neurons fire together as one group within the layer?",
        measured=(
            "Mean correlation inside the plateau less that with its matched neighbours, after the "
            "layer's common mode is removed; less the same for matched sets."
        ),
        plus="the plateau neurons fire together as one group",
        minus="the plateau neurons hold together less than ordinary sets do",
        none="the plateau neurons hold together no more than ordinary sets do",
        set="plateau",
        figures=["graphs"],
    ),
    HypothesisCard(
        id="routing.heads",
        papers=["liu2025"],
        title="Heads that favour the plateau",
        asks=("Does any attention head act more on the plateau for rare tokens than it acts on ordinary neurons?"),
        measured=(
            "For each head that can reach the layer, a ratio of ratios: its effect on the plateau, "
            "rare to common, over its effect on matched neurons, rare to common (log; log 1.25 is a "
            "quarter more). The verdict looks at every head at once, those that act less than a tenth "
            "as much as the mean head taken together; the row tells the head that decides."
        ),
        plus="an attention head favours the plateau for rare tokens",
        minus="an attention head favours the plateau for common tokens",
        none="no attention head favours the plateau for rare tokens",
        set="plateau",
        figures=["head_map"],
        bibtex=[WESTFALL1993],
    ),
    HypothesisCard(
        id="routing.profile",
        papers=["liu2025"],
        title="Same heads for rare and common",
        asks="Do different heads drive the plateau for rare tokens than for common ones?",
        measured=(
            "One minus the correlation of the heads' effect profiles for rare and common tokens, "
            "corrected for the noise between the two halves."
        ),
        plus="different heads drive the plateau for rare tokens than for common ones",
        minus="the two profiles agree better than noise allows",
        none="the same heads drive the plateau for rare and for common tokens",
        set="plateau",
        figures=["head_map"],
    ),
    HypothesisCard(
        id="routing.closure",
        papers=["liu2025"],
        title="Removing the plateau's top heads",
        asks=("Does removing the heads that drive the plateau most hurt rare tokens more than common ones?"),
        measured=(
            "Log ratio of the loss increase when the heads that act most on the plateau are removed "
            "together, rare to common, less that of sets of heads with the same total effect on the "
            "layer."
        ),
        plus="removing the plateau's top heads hurts rare tokens more",
        minus="removing the plateau's top heads hurts common tokens more",
        none=("removing the plateau's top heads hurts rare tokens no more than removing other heads"),
        set="plateau",
        figures=["head_map"],
    ),
    HypothesisCard(
        id="specialists.closure",
        papers=["liu2025_emergence"],
        title="Removing the whole plateau",
        asks=("Does removing the whole plateau at once hurt rare tokens more than removing matched sets does?"),
        measured=(
            "Loss increase when a plateau is removed as a whole, in units of what its neurons' single "
            "influences add up to, on rare tokens less that on common ones; over the rare plateau "
            "plus the mirrored one of common tokens, less the same for matched sets. A loss may fall "
            "as well as rise, so this is a difference, no ratio."
        ),
        plus="removing the plateau hurts rare tokens more than removing ordinary sets",
        minus="removing the plateau hurts common tokens more",
        none="removing the plateau hurts rare tokens no more than removing ordinary sets",
        set="plateau",
    ),
    HypothesisCard(
        id="coordination.dimension",
        papers=["liu2025_emergence"],
        title="Fewer effective dimensions",
        asks="Do the plateau neurons move together in fewer dimensions than ordinary neurons?",
        measured=(
            "Log ratio of the participation ratio of matched sets to that of the plateau, across the two halves."
        ),
        plus="the plateau neurons move in fewer dimensions than ordinary neurons",
        minus="the plateau neurons move in more dimensions than ordinary neurons",
        none="the plateau neurons move in as many dimensions as ordinary neurons",
        set="plateau",
    ),
    HypothesisCard(
        id="emergence.trend",
        papers=["liu2025_emergence"],
        title="Growth over training",
        asks="Does specialisation grow over training?",
        measured=(
            "At each checkpoint of this one training run: the mean log ratio of influence on rare to "
            "common tokens over the rare plateau, plus the mirrored ratio over the common plateau, "
            "chosen on one half of the documents and measured on the other, at positions of like "
            "loss. The estimate is the slope of that over the logarithm of the training step. Step 0, "
            "the untrained model, has no logarithm; it is shown beside it. Another training run, from "
            "another seed, may differ."
        ),
        plus="specialisation grows over this training run",
        minus="specialisation shrinks over this training run",
        none="specialisation does not grow over this training run",
        set="plateau",
    ),
    HypothesisCard(
        id="control.random_init",
        papers=[],
        title="Untrained twin",
        asks="Is anything found in the same model with random weights?",
        measured="The suite on the untrained model.",
    ),
    HypothesisCard(
        id="control.permuted_labels",
        papers=[],
        title="Shuffled labels",
        asks="Is anything found when rare and common are shuffled?",
        measured="Rare and common change places.",
    ),
    HypothesisCard(
        id="control.unreachable_heads",
        papers=[],
        title="Unreachable heads",
        asks="Do heads that cannot reach the layer have no effect?",
        measured="It must be exactly zero.",
    ),
    HypothesisCard(
        id="control.whole_layer",
        papers=[],
        title="Whole attention layers",
        asks="Does removing all heads of a layer have a large effect?",
        measured="Else nothing can be seen.",
    ),
]

HEADLINES = {
    1: {
        Verdict.SUPPORTED: (
            "For rare words this model leans on a small group of neurons in a way it does not for common words."
        ),
        Verdict.REFUTED: (
            "The claim that rare words get extra neurons of their own fails here: at least one thing "
            "it predicts is not there."
        ),
        Verdict.UNDETERMINED: "This run cannot tell whether rare words get extra neurons of their own.",
        Verdict.NOT_RUN: "Whether rare words get extra neurons of their own was not measured.",
    },
    2: {
        Verdict.SUPPORTED: (
            "The neurons that matter most for rare words form no clusters of any size that would matter."
        ),
        Verdict.REFUTED: "The neurons that matter most for rare words do cluster, against the claim.",
        Verdict.UNDETERMINED: (
            "This run cannot tell whether the neurons that matter most for rare words form clusters."
        ),
        Verdict.NOT_RUN: ("Whether the neurons that matter most for rare words form clusters was not measured."),
    },
    3: {
        Verdict.SUPPORTED: ("Attention does not favour those neurons for rare words by any amount that would matter."),
        Verdict.REFUTED: "Attention does favour those neurons for rare words, against the claim.",
        Verdict.UNDETERMINED: "This run cannot tell whether attention favours those neurons for rare words.",
        Verdict.NOT_RUN: "Whether attention favours those neurons for rare words was not measured.",
    },
}

LIU = PaperCard(
    id="liu2025",
    short="Liu (2025), “No Clustering, No Routing”",
    citation="Liu (2025), No Clustering, No Routing: How Transformers Actually Process Rare Tokens",
    link="https://arxiv.org/abs/2509.04479",
    about="rare words",
    summary=(
        "Liu (2025) claims that language models give rare words (tokens) a small set of neurons "
        "of their own, that these neurons form no clusters, and that attention does not steer to "
        "them."
    ),
    bibtex=[LIU2025ROUTING],
    terms=[
        (
            "Matched sets",
            "Sets of ordinary neurons that resemble the plateau in activity and weights: what it is compared with.",
        )
    ],
    limits=[("What the paper studied", "The paper studied GPT-2 XL and Pythia.")],
)
EMERGENCE = PaperCard(
    id="liu2025_emergence",
    short="Liu et al. (2025), “Emergent Specialization”",
    citation="Liu et al. (2025), Emergent Specialization",
    link="https://arxiv.org/abs/2505.12822",
    about="rare words",
    summary="Liu et al. (2025) claim that these neurons work together.",
    bibtex=[LIU2025EMERGENT],
)
GRAY = PaperCard(
    id="gray2026",
    short="Gray (2026), “Code and Prose”",
    citation="Gray (2026), Code and Prose",
    about="programming",
    summary="Gray (2026) claims that entropy neurons keep their counsel.",
    bibtex=["@misc{gray2026, title = {Code and Prose}}"],
)
RARE_COMMON = Conditions(
    a=ConditionCard(name="rare", phrase="rare tokens"),
    b=ConditionCard(name="common", phrase="common tokens"),
    rule="tokens beyond and within a frequency rank in the model's training text",
)
CODE_PROSE = Conditions(
    a=ConditionCard(name="code", phrase="tokens of code"),
    b=ConditionCard(name="prose", phrase="tokens of prose"),
    rule="lines inside and outside of a listing",
)


def plateau(size: int) -> SetCard:
    """The set that is chosen by influence."""
    return SetCard(
        name="plateau", rule="that matter most for rare words", chosen_by="influence", cross_fitted=True, size=size
    )


ENTROPY = SetCard(name="entropy", rule="that entropy.json lists", chosen_by="elsewhere", cross_fitted=False, size=11)

NULL_SAYS = {
    "matched_sets": ("Sets of ordinary neurons with much the same activity and weight statistics as the plateau."),
    "document_swaps": "Rare and common change places for whole documents.",
    "neuron_swaps": ("A neuron's influence on rare and on common tokens change places, neuron by neuron."),
    "document_permuted": "Documents are shuffled per neuron: is there any coupling at all?",
    "hqs": ("Random covariance matrices with the same mean and variance (Hirschberger, Qi, Steuer)."),
    "correlation_cm": "Configuration model for correlation matrices (Masuda, Kojaku, Sano 2018).",
    "rewired": ("Edges are rewired with degrees kept (Maslov, Sneppen 2002). A weak null here: see the note."),
}

REWIRING = (
    "Rewiring is a weak null for correlation graphs. It treats edges as independent, but a "
    "correlation matrix is transitive by construction: if A goes with B and B with C, then A "
    "tends to go with C. Graphs without any modules therefore look modular against it. Its "
    "p-value stands here for comparison with the literature and decides nothing; the "
    "comparison with matched sets does."
)
