"""How attention heads act on sets of neurons (docs/methods.md#routing-heads and the two sections after it).

Head effects are ``effect`` [H, D, 2, M]: mean over a document's matched positions of a class of abs(change of
activation) / sd.
"""

from __future__ import annotations

import torch
from torch import Tensor

MINOR = 0.1
"""Heads whose effect is less than this share of the mean head's are pooled.

A share of the *sum* would pool nearly all of 1,200 heads, and a routing head among them would drown."""
TINY = 1e-12


def stratum_means(effect: Tensor, strata: Tensor) -> Tensor:
    """Mean effect over the neurons of each stratum, [H, D, 2, M] -> [H, D, 2, S]."""
    member = torch.nn.functional.one_hot(strata).to(effect.dtype)
    return effect @ (member / member.sum(0).clamp_min(1))


def set_and_strata(effect: Tensor, strata: Tensor, plateau: Tensor) -> Tensor:
    """Mean effect on the plateau and on its strata (the mean of a random matched set), [H, D, 2, 2]."""
    on_set = effect[..., plateau].mean(-1)
    share = torch.bincount(strata[plateau], minlength=int(strata.max()) + 1).to(effect.dtype) / len(plateau)
    return torch.stack([on_set, stratum_means(effect, strata) @ share], dim=-1)


def weights_of(members: Tensor, strata: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of neurons in the mean over a set [n], and over the rest of its strata in its composition, [N] each.

    The set's own neurons are no part of the rest: what they do would be taken off itself.
    """
    on_set = torch.zeros(len(strata), dtype=torch.float64)
    on_set[members] = 1 / len(members)
    n_strata = int(strata.max()) + 1
    count = torch.bincount(strata[members], minlength=n_strata).double()
    left = torch.bincount(strata, minlength=n_strata).double() - count
    rest = (count / len(members) / left.clamp_min(1))[strata]
    rest[members] = 0
    return on_set, rest / rest.sum()


def pool_minor(total: Tensor, share: float = MINOR) -> Tensor:
    """Group number of each head, int64 [H]: major heads first in order, then one group of all minor ones (if any).

    Parameters
    ----------
    total : [H]
        Label-blind summed effect of each head.
    """
    minor = total < share * total.mean()
    group = torch.cumsum((~minor).long(), 0) - 1
    return torch.where(minor, (~minor).sum(), group)


def preference(means: Tensor, choice: None = None) -> Tensor:
    """R_h = log[E(rare, P) E(common, M) / (E(common, P) E(rare, M))], halves averaged, [R, K]; + = routes to P.

    Parameters
    ----------
    means : [R, 2 (half), 2 (class), 2 (plateau, rest of its strata), K]
    """
    logs = means.clamp_min(TINY).log()
    return (logs[:, :, 0, 0] - logs[:, :, 1, 0] - logs[:, :, 0, 1] + logs[:, :, 1, 1]).mean(1)


def profile_spread(means: Tensor, choice: None = None) -> Tensor:
    """Variance over heads of the log ratio of rare to common effect on the set, [R, 1]; 0 where heads are alike.

    Parameters
    ----------
    means : [R, 2 (half), 2 (class), H, 1]
        Effect of each head on the set.

    Notes
    -----
    The product of the two halves' ratios, each less its mean over heads, K - 1 in the denominator: unbiased for the
    variance, where the square of one half's holds the noise of its documents too, and finite where heads are alike,
    where a correlation of profiles is a ratio of two noises.
    """
    logs = means.clamp_min(TINY).log()
    ratio = (logs[:, :, 0] - logs[:, :, 1])[..., 0]
    ratio = ratio - ratio.mean(-1, keepdim=True)
    return (ratio[:, 0] * ratio[:, 1]).sum(-1, keepdim=True) / max(ratio.shape[-1] - 1, 1)


def gini(values: Tensor) -> Tensor:
    """Gini coefficient over the last axis: 0 = all alike, 1 - 1/n = all in one (Gini 1912)."""
    n = values.shape[-1]
    ordered = values.sort(-1).values
    rank = torch.arange(1, n + 1, dtype=values.dtype)
    return ((2 * rank - n - 1) * ordered).sum(-1) / (n * ordered.sum(-1)).clamp_min(TINY)


def concentration(effect: Tensor, sets: Tensor) -> Tensor:
    """Gini over heads of the mean effect on each set: [H, M], int64 [R, n] -> [R]."""
    return gini(effect[:, sets].mean(-1).T)
