"""Co-activation graphs: the plateau's beside its twins, drawn by one rule so that they can be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...hypotheses.result import GraphTwin
from ..numbers import count, fixed, typeset
from .canvas import (
    COMMUNITY_COLOURS,
    COMMUNITY_MARKERS,
    INK,
    MUTED,
    SMALL,
    Drawing,
    bare,
    in_house_style,
    new_figure,
    place,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_PANEL = 230.0
_EDGES_PER_NODE = 3
_MATRIX_NODES = 400


def twins(graphs: Sequence[GraphTwin]) -> list[Drawing]:
    """One drawing a graph; all with the same layout rule, number of edges a node, and colour scale."""
    strength = max((abs(r) for g in graphs for _, _, r in g.edges), default=1.0) or 1.0
    return [_twin(g, strength) for g in graphs]


@in_house_style
def _twin(graph: GraphTwin, strength: float) -> Drawing:
    matrix = len(graph.nodes) <= _MATRIX_NODES
    figure = new_figure(_PANEL * (2 if matrix else 1) + 24, _PANEL)
    top = place(figure, 4, 4 + (_PANEL if matrix else 0), _PANEL - 8, _PANEL - 8)
    shown = strongest(graph, _EDGES_PER_NODE * len(graph.nodes))
    order = _communities(graph)
    _draw_graph(top, graph, shown, order, strength)
    top.annotate(
        typeset(f"{graph.label}: Q = {fixed(graph.modularity, 2)}"),
        (0.5, 1),
        (0, 4),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontweight="bold",
        fontsize=SMALL + 0.5,
    )
    if matrix:
        _draw_matrix(place(figure, 15, 12, _PANEL - 30, _PANEL - 30), graph, order, strength)
    return Drawing(figure, graph.label, _alt(graph, shown))


def strongest(graph: GraphTwin, most: int) -> list[tuple[int, int, float]]:
    """Return the `most` edges with the largest positive weight, as indices into `graph.nodes`."""
    index = _index(graph)
    edges = [(index[i], index[j], r) for i, j, r in graph.edges if i in index and j in index and r > 0]
    return sorted(edges, key=lambda e: (-e[2], e[0], e[1]))[:most]


def _index(graph: GraphTwin) -> dict[int, int]:
    """Edge ends as positions in `nodes`; they are written either as neuron numbers or as positions already."""
    ends = {end for i, j, _ in graph.edges for end in (i, j)}
    if ends <= set(range(len(graph.nodes))):
        return {i: i for i in range(len(graph.nodes))}
    return {node: i for i, node in enumerate(graph.nodes)}


def _communities(graph: GraphTwin) -> list[int]:
    """Community labels, largest first; at most six are told apart by colour."""
    return [label for label, _ in sorted(Counter(graph.community).items(), key=lambda item: (-item[1], item[0]))]


def _layout(graph: GraphTwin, edges: Sequence[tuple[int, int, float]]) -> NDArray[np.float64]:
    """Spring layout of the drawn edges; communities play no part in it, or every graph would look modular."""
    import networkx as nx

    net = nx.Graph()
    net.add_nodes_from(range(len(graph.nodes)))
    net.add_weighted_edges_from(edges)
    spread = 1.6 / np.sqrt(max(len(graph.nodes), 1))
    places = nx.spring_layout(net, k=spread, seed=0, iterations=120)
    points = np.array([places[i] for i in range(len(graph.nodes))], dtype=np.float64).reshape(-1, 2)
    span = np.abs(points - points.mean(axis=0)).max(initial=1e-9)
    return np.asarray((points - points.mean(axis=0)) / span, dtype=np.float64)


def _draw_graph(
    axes: Axes, graph: GraphTwin, edges: Sequence[tuple[int, int, float]], order: Sequence[int], strength: float
) -> None:
    from matplotlib.collections import LineCollection

    points = _layout(graph, edges)
    segments = [(points[i], points[j]) for i, j, _ in edges]
    axes.add_collection(
        LineCollection(
            segments, colors=MUTED, linewidths=[0.3 + 2.2 * r / strength for *_, r in edges], alpha=0.45, zorder=1
        )
    )
    size = float(np.clip(240 / np.sqrt(max(len(graph.nodes), 1)) / 7, 2.5, 7.5))
    for rank, label in enumerate(order):
        chosen = [i for i, c in enumerate(graph.community) if c == label]
        style = min(rank, len(COMMUNITY_COLOURS) - 1)
        axes.plot(
            points[chosen, 0],
            points[chosen, 1],
            COMMUNITY_MARKERS[style],
            color=COMMUNITY_COLOURS[style],
            markeredgecolor=INK,
            markeredgewidth=0.6,
            markersize=size,
            zorder=2,
        )
    axes.set_xlim(-1.12, 1.12)
    axes.set_ylim(-1.12, 1.12)
    _no_frame(axes)


def _draw_matrix(axes: Axes, graph: GraphTwin, order: Sequence[int], strength: float) -> None:
    """Every pair, nodes in the order of their communities: what the drawn edges leave out."""
    from matplotlib.colors import LinearSegmentedColormap

    n, index = len(graph.nodes), _index(graph)
    values = np.full((n, n), np.nan)
    for i, j, r in graph.edges:
        if i in index and j in index:
            values[index[i], index[j]] = values[index[j], index[i]] = r
    by_community = sorted(range(n), key=lambda i: (order.index(graph.community[i]), i))
    colours = LinearSegmentedColormap.from_list("r", ["#4f9fd0", "#f7f7f5", "#ec8a4a"])
    axes.imshow(
        values[np.ix_(by_community, by_community)], cmap=colours, vmin=-strength, vmax=strength, interpolation="none"
    )
    edge = -0.5
    for label in order:
        size = graph.community.count(label)
        axes.plot(
            [edge, edge + size, edge + size, edge, edge],
            [edge, edge, edge + size, edge + size, edge],
            color="#111111",
            linewidth=1,
        )
        edge += size
    axes.set_xlim(-0.7, n - 0.3)
    axes.set_ylim(n - 0.3, -0.7)
    _no_frame(axes)


def _no_frame(axes: Axes) -> None:
    bare(axes)
    axes.set_xticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _alt(graph: GraphTwin, shown: Sequence[tuple[int, int, float]]) -> str:
    sizes = sorted(Counter(graph.community).values(), reverse=True)
    weights = [r for *_, r in graph.edges]
    mean = (
        f"mean weight of all {count(len(weights))} pairs {fixed(float(np.mean(weights)), 3)}" if weights else "no edges"
    )
    return typeset(
        f"{graph.label}: {count(len(graph.nodes))} neurons in {len(sizes)} communities of "
        f"{', '.join(map(str, sizes[:8]))}"
        f"{' and smaller' if len(sizes) > 8 else ''}; modularity Q {fixed(graph.modularity, 3)}; {mean}; "
        f"{count(len(shown))} edges drawn."
    )
