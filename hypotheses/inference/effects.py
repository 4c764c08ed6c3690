"""Effect size, Bayes factor and mixed model of document-level contrasts: cross-checks beside the permutation test."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.stats

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DocumentEffect:
    """Documents' contrasts against 0.

    ``cohen_d`` mean over standard deviation, with its 95 % interval; ``bf10``: how many times likelier the contrasts
    are under an effect (Cauchy prior of scale .707 on d, two-sided) than under none (Rouder et al. 2009).
    """

    documents: int
    cohen_d: float
    d_low: float
    d_high: float
    bf10: float


@dataclass(frozen=True)
class MixedEffect:
    """Intercept of ``y ~ 1 + (1 | document)``: estimate, standard error, two-sided Wald p, sd between documents.

    ``doubt`` holds what statsmodels warned of (no convergence, a variance at its bound), else nothing.
    """

    estimate: float
    se: float
    p_value: float
    document_sd: float
    doubt: str


@dataclass(frozen=True)
class SharedVariance:
    """Intraclass correlation: the share of variance that lies between clusters, with its 95 % interval."""

    share: float
    low: float
    high: float


def shared_variance(values: FloatArray, cluster: npt.NDArray[np.int64]) -> SharedVariance | None:
    """Intraclass correlation of documents in clusters, by one-way analysis of variance.

    Parameters
    ----------
    values
        [D], one a document.
    cluster
        [D], the cluster of each.

    Returns
    -------
    SharedVariance or None
        Below 0 where documents of one cluster are less alike than others.  None where no cluster has two documents,
        all have the same value, or there is one cluster only.

    Notes
    -----
    With n_c documents in cluster c of C and n_0 = (D - sum n_c^2 / D) / (C - 1): (MSB - MSW) / (MSB + (n_0 - 1) MSW)
    (Donner 1986, International Statistical Review 54:67).  The interval is that of Searle (1971) for equal clusters,
    with n_0 in place of their size: exact where they are equal.
    """
    _, place, sizes = np.unique(cluster, return_inverse=True, return_counts=True)
    d, c = len(values), len(sizes)
    if c < 2 or d == c:
        return None
    means = np.bincount(place, values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum()) / (c - 1)
    within = float(((values - means[place]) ** 2).sum()) / (d - c)
    if not within > 0:
        return None
    size = (d - float((sizes**2).sum()) / d) / (c - 1)
    f = between / within
    low, high = (f / scipy.stats.f.ppf(q, c - 1, d - c) for q in (0.975, 0.025))
    share, low, high = ((ratio - 1) / (ratio + size - 1) for ratio in (f, low, high))
    return SharedVariance(share, low, high)


def document_effect(contrasts: FloatArray) -> DocumentEffect | None:
    """Cohen's d with its interval, and the JZS Bayes factor (pingouin); None where the contrasts do not vary.

    Parameters
    ----------
    contrasts : [D]
        One value per document, 0 where there is no effect.
    """
    import pingouin

    x = np.asarray(contrasts, dtype=np.float64)
    n, sd = len(x), float(x.std(ddof=1)) if len(x) > 1 else 0.0
    if n < 3 or sd == 0 or not np.isfinite(x).all():
        return None
    d = float(x.mean()) / sd
    low, high = pingouin.compute_esci(stat=d, nx=n, ny=n, paired=True, eftype="cohen", decimals=6)
    bf10 = float(pingouin.bayesfactor_ttest(d * np.sqrt(n), nx=n))
    return DocumentEffect(n, d, float(low), float(high), bf10)


def mixed_model(y: FloatArray, document: npt.NDArray[np.int64]) -> MixedEffect:
    """Random-intercept model by REML (statsmodels MixedLM).

    Parameters
    ----------
    y : [P]
        One value a matched pair.
    document : int64 [P]
        Its document.
    """
    import statsmodels.api as sm

    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        fit = sm.MixedLM(np.asarray(y, dtype=np.float64), np.ones((len(y), 1)), groups=document).fit(reml=True)
    said = sorted({str(w.message).splitlines()[0] for w in heard})
    return MixedEffect(
        float(fit.fe_params[0]), float(fit.bse_fe[0]), float(fit.pvalues[0]),
        float(np.sqrt(max(0.0, float(np.asarray(fit.cov_re)[0, 0])))), "; ".join(said),
    )  # fmt: skip
