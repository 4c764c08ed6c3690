"""The co-activation graphs as GraphML, for Gephi and Cytoscape."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from ..data.errors import InputError
from ..hypotheses.result import GraphTwin, Result

# XML 1.0 has no way to write these, not even escaped
_UNWRITABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def network(results: Sequence[Result]) -> Any:
    """Return all graphs of the runs as one networkx graph of separate parts.

    Nodes carry ``run``, ``graph`` (its label), ``neuron`` and ``community``, edges the correlation ``r`` and
    its size as ``weight``, so that a program that reads only one graph to a file still gets them all and can filter.
    """
    import networkx as nx

    net = nx.Graph()
    for run, result in enumerate(results):
        for part, graph in enumerate(result.graphs):
            _add(net, graph, f"r{run}g{part}", _clean(result.setup.model))
    return net


def _add(net: Any, graph: GraphTwin, prefix: str, run: str) -> None:
    label = _clean(graph.label)
    for node, community in zip(graph.nodes, graph.community, strict=True):
        net.add_node(f"{prefix}n{node}", label=str(node), run=run, graph=label, neuron=node, community=community)
    positions = {end for i, j, _ in graph.edges for end in (i, j)} <= set(range(len(graph.nodes)))
    for i, j, r in graph.edges:
        a, b = (graph.nodes[i], graph.nodes[j]) if positions else (i, j)
        net.add_edge(f"{prefix}n{a}", f"{prefix}n{b}", weight=abs(r), r=r)


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text)


def render(results: Sequence[Result]) -> bytes:
    """GraphML of all graphs.

    Raises
    ------
    InputError
        If no run holds a graph.
    """
    import networkx as nx

    if not any(r.graphs for r in results):
        raise InputError(
            "no co-activation graph in these results",
            "--format graphml",
            "run a hypothesis that draws them (neuronull plan lists them)",
        )
    stream = io.BytesIO()
    nx.write_graphml_xml(network(results), stream)
    return stream.getvalue()
