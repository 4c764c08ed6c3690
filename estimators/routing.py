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
    means : [R, 2 (half), 2 (class), 2 (plateau, strata), K]
    """
    logs = means.clamp_min(TINY).log()
    return (logs[:, :, 0, 0] - logs[:, :, 1, 0] - logs[:, :, 0, 1] + logs[:, :, 1, 1]).mean(1)


def profile_distance(means: Tensor, choice: None = None) -> Tensor:
    """1 - disattenuated cross-half correlation of the rare with the common profile over heads, [R, 1].

    Parameters
    ----------
    means : [R, 2 (half), 2 (class), H, 1]
        Effect of each head on the plateau.

    Notes
    -----
    Spearman (1904): r(rare_A, common_B) / sqrt(r(rare_A, rare_B) r(common_A, common_B)), both crossings averaged.
    """
    profile = means[..., 0] - means[..., 0].mean(-1, keepdim=True)
    unit = profile / profile.norm(dim=-1, keepdim=True).clamp_min(TINY)

    def r(half_1: int, class_1: int, half_2: int, class_2: int) -> Tensor:
        product: Tensor = unit[:, half_1, class_1] * unit[:, half_2, class_2]
        return product.sum(-1)

    ceiling = (r(0, 0, 1, 0).clamp_min(TINY) * r(0, 1, 1, 1).clamp_min(TINY)).sqrt()
    return (1 - (r(0, 0, 1, 1) + r(1, 0, 0, 1)) / (2 * ceiling))[:, None]


def gini(values: Tensor) -> Tensor:
    """Gini coefficient over the last axis: 0 = all alike, 1 - 1/n = all in one (Gini 1912)."""
    n = values.shape[-1]
    ordered = values.sort(-1).values
    rank = torch.arange(1, n + 1, dtype=values.dtype)
    return ((2 * rank - n - 1) * ordered).sum(-1) / (n * ordered.sum(-1)).clamp_min(TINY)


def concentration(effect: Tensor, sets: Tensor) -> Tensor:
    """Gini over heads of the mean effect on each set: [H, M], int64 [R, n] -> [R]."""
    return gini(effect[:, sets].mean(-1).T)
