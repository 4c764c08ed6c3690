"""Co-activation graphs: that of the set under test beside its twins, drawn by one rule so that they can be compared."""

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
    Values,
    bare,
    in_house_style,
    new_figure,
    place,
    short,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_PANEL = 230.0
_EDGES_PER_NODE = 3
_MATRIX_NODES = 400

_SHARED = (
    "A finder of communities finds some in random graphs too, so compare the panels with each other. The modularity Q "
    "is shown and decides nothing."
)
_LAID_OUT = (
    "placed by a spring layout that knows nothing of the communities. Colour and shape: community. Below, every pair, "
    "ordered by community and framed"
)
CAPTIONS = {
    True: "beside its twins, all drawn by one rule: the strongest edges, three for each "
    f"neuron, {_LAID_OUT}, on one colour scale (orange: active together; blue: one without the other). {_SHARED}",
    False: "beside its twins, thinned to equally many edges and all drawn by one rule: "
    f"{_LAID_OUT}; filled: an edge. {_SHARED}",
}
"""Under graphs whose edges have weights, and under thinned ones; the name of the first stands before."""


def twins(graphs: Sequence[GraphTwin]) -> list[Drawing]:
    """One drawing per graph; all with the same layout rule, number of edges per node, and colour scale.

    Where every pair has its weight, the strongest are drawn as edges.  Where a graph is thinned to some pairs (all are,
    if one is), every edge is drawn alike: the weights of a rewired graph belong to pairs it was not made from.
    """
    weighted = all(_is_dense(g) for g in graphs)
    strength = max((abs(r) for g in graphs for _, _, r in g.edges), default=1.0) or 1.0
    caption = f"Co-activation of the {short(graphs[0].label, 60)} {CAPTIONS[weighted]}" if graphs else ""
    return [_twin(g, strength if weighted else None, caption) for g in graphs]


def _is_dense(graph: GraphTwin) -> bool:
    n = len(graph.nodes)
    return 2 * len(graph.edges) >= n * (n - 1)


@in_house_style
def _twin(graph: GraphTwin, strength: float | None, caption: str) -> Drawing:
    matrix = len(graph.nodes) <= _MATRIX_NODES
    figure = new_figure(_PANEL * (2 if matrix else 1) + 24, _PANEL)
    top = place(figure, 4, 4 + (_PANEL if matrix else 0), _PANEL - 8, _PANEL - 8)
    shown = strongest(graph, _EDGES_PER_NODE * len(graph.nodes)) if strength else _every(graph)
    order = _communities(graph)
    _draw_graph(top, graph, shown, order, strength)
    top.annotate(
        typeset(f"{short(graph.label, 24)}: Q = {fixed(graph.modularity, 2)}"),
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
    return Drawing(figure, caption, _alt(graph, shown), _values(graph))


def _values(graph: GraphTwin) -> Values:
    """Every pair of the graph, drawn or not, with the community of each neuron."""
    community = dict(zip(graph.nodes, graph.community, strict=False))
    rows = [(i, j, r, community.get(i), community.get(j)) for i, j, r in graph.edges]
    return Values(("neuron", "other", "weight", "community", "community_of_other"), rows)


def strongest(graph: GraphTwin, most: int) -> list[tuple[int, int, float]]:
    """Return the `most` edges with the largest positive weight, as indices into `graph.nodes`."""
    positive = [e for e in _every(graph) if e[2] > 0]
    return sorted(positive, key=lambda e: (-e[2], e[0], e[1]))[:most]


def _every(graph: GraphTwin) -> list[tuple[int, int, float]]:
    index = _index(graph)
    return [(index[i], index[j], r) for i, j, r in graph.edges if i in index and j in index]


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
    net.add_weighted_edges_from((i, j, abs(r)) for i, j, r in edges)
    spread = 1.6 / np.sqrt(max(len(graph.nodes), 1))
    places = nx.spring_layout(net, k=spread, seed=0, iterations=120)
    points = np.array([places[i] for i in range(len(graph.nodes))], dtype=np.float64).reshape(-1, 2)
    points -= np.median(points, axis=0)
    distance = np.hypot(points[:, 0], points[:, 1])
    # a node without edges drifts off, and would press all the others into a knot
    reach = max(2.2 * float(np.median(distance)), 1e-9)
    points *= np.minimum(1.0, reach / np.maximum(distance, 1e-9))[:, None]
    return np.asarray(points / np.abs(points).max(initial=1e-9), dtype=np.float64)


def _draw_graph(
    axes: Axes, graph: GraphTwin, edges: Sequence[tuple[int, int, float]], order: Sequence[int], strength: float | None
) -> None:
    from matplotlib.collections import LineCollection

    points = _layout(graph, edges)
    segments = [(points[i], points[j]) for i, j, _ in edges]
    widths = [0.3 + 2.2 * r / strength if strength else 1.0 for *_, r in edges]
    axes.add_collection(LineCollection(segments, colors=MUTED, linewidths=widths, alpha=0.45, zorder=1))
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


def _draw_matrix(axes: Axes, graph: GraphTwin, order: Sequence[int], strength: float | None) -> None:
    """Every pair, nodes in the order of their communities: what the drawn edges leave out."""
    from matplotlib.colors import LinearSegmentedColormap

    n = len(graph.nodes)
    values = np.full((n, n), np.nan)
    for i, j, r in _every(graph):
        values[i, j] = values[j, i] = r if strength else 1.0
    scale = strength or 1.6  # an edge without a weight gets the same middling colour everywhere
    by_community = sorted(range(n), key=lambda i: (order.index(graph.community[i]), i))
    colours = LinearSegmentedColormap.from_list("r", ["#4f9fd0", "#f7f7f5", "#ec8a4a"])
    axes.imshow(values[np.ix_(by_community, by_community)], cmap=colours, vmin=-scale, vmax=scale, interpolation="none")
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
        f"mean correlation over {count(len(weights))} edges {fixed(float(np.mean(weights)), 3)}"
        if weights
        else "no edges"
    )
    return typeset(
        f"{graph.label}: {count(len(graph.nodes))} neurons in {len(sizes)} communities of "
        f"{', '.join(map(str, sizes[:8]))}"
        f"{' and smaller' if len(sizes) > 8 else ''}; modularity Q {fixed(graph.modularity, 3)}; {mean}; "
        f"{count(len(shown))} edges drawn."
    )
