"""The claims of Stolfo et al. 2024 that are tested, and what a reader is told of each verdict."""

from __future__ import annotations

from ...paper import Claim
from ...result import Verdict

WEIGHTS = Claim(
    "entropy neurons have large output weights that lie in the unembedding's weak directions",
    ("entropy.norm", "entropy.nullspace"),
    {
        Verdict.SUPPORTED: "Neurons that act through the final norm's scale have large output weights, and write "
        "where the unembedding hardly reads.",
        Verdict.REFUTED: "Neurons that act through the final norm's scale are not those with large output weights "
        "in directions that the unembedding hardly reads: at least one of the two is not there.",
        Verdict.UNDETERMINED: "This run cannot tell whether neurons that act through the final norm's scale have "
        "large output weights that the unembedding hardly reads.",
        Verdict.NOT_RUN: "The output weights of neurons that act through the final norm's scale were not compared.",
    },
)

SCALE = Claim(
    "{set} neurons act on the loss through the final norm's scale",
    ("entropy.scale", "entropy.frequency"),
    {
        Verdict.SUPPORTED: "Entropy neurons change the loss through the final norm's scale, and not through token "
        "frequencies.",
        Verdict.REFUTED: "Entropy neurons do not change the loss as the claim says: at least one thing that it "
        "predicts is not there.",
        Verdict.UNDETERMINED: "This run cannot tell whether entropy neurons change the loss through the final norm's "
        "scale and not through token frequencies.",
        Verdict.NOT_RUN: "How entropy neurons change the loss was not measured.",
    },
)

FREQUENCY = Claim(
    "token-frequency neurons raise or lower the logits of tokens by how frequent they are",
    ("frequency.direction",),
    {
        Verdict.SUPPORTED: "Token-frequency neurons write along how frequent tokens are.",
        Verdict.REFUTED: "The claim about token-frequency neurons fails here: neurons that act through token "
        "frequencies write no more along them than others do.",
        Verdict.UNDETERMINED: "This run cannot tell whether token-frequency neurons write along how frequent tokens "
        "are.",
        Verdict.NOT_RUN: "Where token-frequency neurons write was not measured.",
    },
)
