"""Slow and obvious versions of the estimators, in loops over plain numbers."""

from __future__ import annotations

import math

import numpy as np


def class_means(x, weight, half, swap):
    """Means [2 (half), 2 (class), G, K] of per-document sums x [D, 2, G, K] under one swap of labels [D]."""
    out = np.zeros((2, 2, *x.shape[2:]))
    for side in (0, 1):
        for c in (0, 1):
            total, mass = np.zeros(x.shape[2:]), 0.0
            for d in range(len(x)):
                if half[d] == side:
                    total += x[d, 1 - c if swap[d] else c]
                    mass += weight[d]
            out[side, c] = total / mass
    return out


def top(values, n):
    """Indices of the n largest, first come first served."""
    return sorted(range(len(values)), key=lambda i: (-values[i], i))[:n]


def selectivity(influence, n):
    """Of influences [2 (half), 2 (class), N]: classes over geometric means, sets of the other half, halves averaged."""
    scores = []
    for side in (0, 1):
        scaled = [[v / math.exp(np.mean(np.log(row))) for v in row] for row in influence[side]]
        lean = [math.log(a / b) for a, b in zip(*scaled, strict=True)]
        chosen_on = influence[1 - side]
        scores.append(sum(np.mean([lean[i] for i in top(row, n)]) for row in chosen_on))
    return np.mean(scores)


def head_deviation(ordered, n):
    """Mean over the head of (line through the middle - log influence) / absolute slope of the line."""
    rank = np.log(np.arange(1, len(ordered) + 1))
    slope, intercept = np.polyfit(rank[n:], ordered[n:], 1)
    return np.mean([(intercept + slope * rank[k] - ordered[k]) / abs(slope) for k in range(n)])


def deviation(influence, n, c):
    """Head deviation of class c, in the order of the other half, halves averaged."""
    out = []
    for side in (0, 1):
        order = top(influence[1 - side, c], 6 * n)
        out.append(head_deviation(np.log(influence[side, c][order]), n))
    return np.mean(out)


def effective_number(values):
    """exp of the entropy of shares."""
    share = values / values.sum()
    return math.exp(-sum(s * math.log(s) for s in share if s > 0))


def correlation(x):
    """Pearson correlations of the columns, 0 with constant ones."""
    n = x.shape[1]
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            a, b = x[:, i] - x[:, i].mean(), x[:, j] - x[:, j].mean()
            scale = math.sqrt((a @ a) * (b @ b))
            out[i, j] = (a @ b) / scale if scale > 0 else 0.0
    return out


def cohesion(z, strata, members):
    """Mean z inside the set, less mean z of its members with the rest of its strata, weighted as the set is."""
    members = list(members)
    inside = np.mean([z[i, j] for i in members for j in members if i != j])
    between = 0.0
    for s in set(strata[members].tolist()):
        share = np.mean(strata[members] == s)
        rest = [j for j in range(len(z)) if strata[j] == s and j not in members]
        between += share * np.mean([z[i, j] for i in members for j in rest])
    return inside - between


def gini(values):
    """Half the relative mean absolute difference."""
    return np.abs(values[:, None] - values[None]).mean() / (2 * values.mean())


def mean_cosine(w, members):
    """Mean cosine over pairs."""
    pairs = [(i, j) for i in members for j in members if i != j]
    return np.mean([w[i] @ w[j] / (np.linalg.norm(w[i]) * np.linalg.norm(w[j])) for i, j in pairs])


def hill(w, members, low=0.1, high=0.3):
    """Lower median over k, from a tenth to three tenths of the eigenvalues, of Hill's alpha."""
    rows = w[members] / np.linalg.norm(w[members], axis=1, keepdims=True)
    values = sorted(np.linalg.eigvalsh(rows @ rows.T), reverse=True)
    n = len(values)
    alphas = []
    for k in range(max(2, round(low * n)), min(max(3, round(high * n)), n - 1) + 1):
        alphas.append(1 / np.mean([math.log(values[i] / values[k]) for i in range(k)]))
    return sorted(alphas)[(len(alphas) - 1) // 2]


def nearest_gap(members, neurons):
    """Log ratio of (N + 1) / (2 n + 2) to the mean distance to the nearest member."""
    gaps = [min(abs(i - j) for j in members if j != i) for i in members]
    return math.log((neurons + 1) / (2 * len(members) + 2) / np.mean(gaps))
