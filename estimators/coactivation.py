"""Correlations of neurons over positions, and what a set of neurons has in common (`clusters.*`, `coordination.*`)."""

from __future__ import annotations

import torch
from torch import Tensor


def standardise(activation: Tensor) -> Tensor:
    """Columns of [T, N] with mean 0 and sum of squares 1 (constant columns become 0)."""
    centred = activation - activation.mean(0)
    norm = centred.norm(dim=0)
    return centred / torch.where(norm > 0, norm, torch.ones_like(norm))


def correlation(activation: Tensor) -> Tensor:
    """Pearson correlations of the columns of [T, N], [N, N]; 0 with a constant column."""
    z = standardise(activation)
    return (z.T @ z).clamp(-1, 1)


def global_mode(activation: Tensor, iterations: int = 100) -> Tensor:
    """First principal component of the standardised columns of [T, N]: [N], unit length.

    Power iteration from a deterministic start.
    """
    z = standardise(activation)
    v = torch.ones(z.shape[1], dtype=z.dtype) + torch.linspace(0, 0.1, z.shape[1], dtype=z.dtype)
    for _ in range(iterations):
        step = z.T @ (z @ v)
        v = step / step.norm().clamp_min(torch.finfo(z.dtype).tiny)
    return v


def without_mode(activation: Tensor, mode: Tensor) -> Tensor:
    """Standardised columns [T, N] with the direction `mode` [N] projected out."""
    z = standardise(activation)
    return z - torch.outer(z @ mode, mode)


def submatrices(matrix: Tensor, sets: Tensor) -> Tensor:
    """Rows and columns of [N, N] for each set, int64 [R, n] -> [R, n, n]."""
    return matrix[sets[:, :, None], sets[:, None, :]]


def mean_off_diagonal(matrices: Tensor) -> Tensor:
    """Mean of the off-diagonal entries of [..., n, n]."""
    n = matrices.shape[-1]
    total = matrices.sum((-2, -1)) - matrices.diagonal(dim1=-2, dim2=-1).sum(-1)
    return total / (n * (n - 1))


def participation_ratio(r_a: Tensor, r_b: Tensor) -> Tensor:
    """Cross-half participation ratio n^2 / (n + sum_{i != j} r_A r_B) of [..., n, n]: n if independent, 1 for copies.

    The product of two halves' correlations is unbiased for the squared correlation under independence, which the
    square of one half's is not.
    """
    n = r_a.shape[-1]
    shared = mean_off_diagonal(r_a * r_b) * n * (n - 1)
    return n**2 / (n + shared).clamp_min(1.0)


def fisher_z(r: Tensor) -> Tensor:
    """Inverse hyperbolic tangent with correlations held off +-1."""
    return r.clamp(-0.9999, 0.9999).atanh()


def stratum_sums(z: Tensor, strata: Tensor) -> Tensor:
    """Sum of each neuron's z with the neurons of each stratum, itself left out: [N, N], int64 [N] -> [N, S]."""
    member = torch.nn.functional.one_hot(strata).to(z.dtype)
    return z @ member - z.diagonal()[:, None] * member


def cohesion(z: Tensor, sums: Tensor, strata: Tensor, sets: Tensor) -> Tensor:
    """Mean z within each set minus mean z between the set and the rest of its strata, [R].

    Parameters
    ----------
    z : [N, N]
        Fisher-transformed correlations.
    sums : [N, S]
        `stratum_sums(z, strata)`.
    sets : int64 [R, n]
        All of the same composition over strata.

    Notes
    -----
    The between-mean weighs stratum pairs as the set's own pairs do, so that a level that goes with the strata cancels.
    """
    size = torch.bincount(strata, minlength=sums.shape[1])
    return _cohesion(submatrices(z, sets), sums[sets], strata[sets], size)


def _cohesion(inside: Tensor, sums: Tensor, where: Tensor, size: Tensor) -> Tensor:
    """`cohesion` of sets from z among their members [R, n, n], members' stratum sums [R, n, S] and strata [R, n]."""
    member = torch.nn.functional.one_hot(where, len(size)).to(inside.dtype)
    count = member.sum(1)
    diagonal = inside.diagonal(dim1=-2, dim2=-1)
    own = inside @ member - diagonal[:, :, None] * member
    rest = (size.to(inside.dtype)[None] - count).clamp_min(1.0)
    between = (sums - own) / rest[:, None, :]
    share = count / count.sum(1, keepdim=True)
    return mean_off_diagonal(inside) - (between * share[:, None, :]).sum(-1).mean(-1)


def document_moments(activation: Tensor, document: Tensor, sets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each document the count [D], and of each set the sums [R, D, n] and cross-products [R, D, n, n] (float64).

    Parameters
    ----------
    activation : [T, N]
    document : int64 [T]
        Numbered 0 to D - 1.
    sets : int64 [R, n]
        Columns of `activation`.
    """
    documents, (draws, n) = int(document.max()) + 1, sets.shape
    count = torch.bincount(document, minlength=documents).double()
    first = torch.zeros(draws, documents, n, dtype=torch.float64)
    second = torch.zeros(draws, documents, n, n, dtype=torch.float64)
    for d in range(documents):
        rows = activation[document == d].double()[:, sets].permute(1, 0, 2)
        first[:, d] = rows.sum(1)
        second[:, d] = rows.transpose(1, 2) @ rows
    return count, first, second


def correlations_without(activation: Tensor, document: Tensor, sets: Tensor) -> Tensor:
    """Correlations of each set's columns of [T, N] without each document in turn, [R, D, n, n] (0 if constant).

    Parameters
    ----------
    activation : [T, N]
    document : int64 [T]
        D different names; the second axis is in their order.
    sets : int64 [R, n]
    """
    where = torch.unique(document, return_inverse=True)[1]
    count, first, second = document_moments(activation - activation.mean(0), where, sets)
    n = (count.sum() - count)[:, None]
    mean = (first.sum(1, keepdim=True) - first) / n
    covariance = (second.sum(1, keepdim=True) - second) / n[:, :, None] - mean[..., :, None] * mean[..., None, :]
    sd = covariance.diagonal(dim1=-2, dim2=-1).clamp_min(0).sqrt()
    scale = sd[..., :, None] * sd[..., None, :]
    return torch.where(
        scale > 0, covariance / torch.where(scale > 0, scale, torch.ones_like(scale)), torch.zeros_like(scale)
    )


def cohesion_without(activation: Tensor, document: Tensor, strata: Tensor, sets: Tensor) -> Tensor:
    """`cohesion` of each set without each document in turn, [R, D]; `activation` [T, N] has the global mode removed.

    Only the sets' rows of the correlation matrix are needed, so a document costs as many times N products as the sets
    have neurons.
    """
    members, places = torch.unique(sets, return_inverse=True)
    member = torch.nn.functional.one_hot(strata).to(activation.dtype)
    size, itself = member.sum(0), torch.arange(len(members))
    x = activation - activation.mean(0)
    of_members = x[:, members].T.contiguous()
    total, first, square = of_members @ x, x.sum(0), x.square().sum(0)
    out = []
    for d in torch.unique(document).tolist():
        rows = torch.nonzero(document == d)[:, 0]
        gone, n = x[rows], len(x) - len(rows)
        mean = (first - gone.sum(0)) / n
        sd = ((square - gone.square().sum(0)) / n - mean**2).clamp_min(0).sqrt()
        one_over = torch.where(sd > 0, 1 / sd, torch.zeros_like(sd))
        covariance = (total - of_members[:, rows] @ gone).div_(n).addr_(mean[members], mean, alpha=-1)
        z = fisher_z(covariance.mul_(one_over).mul_(one_over[members][:, None]))
        sums = z @ member - z[itself, members][:, None] * member[members]
        inside = z[places[:, :, None], sets[:, None, :]]
        out.append(_cohesion(inside, sums[places], strata[sets], size))
    return torch.stack(out, 1).double()
