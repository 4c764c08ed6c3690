"""Documents side by side on the CPU: one thread a document in place of several threads a tensor operation.

A small model's operations are over in microseconds, and threads that share one must wait for the slowest of them each
time; beside a busy process that wait is a whole time slice. Threads with a document each never wait. Hooks stand on
modules, so each thread has a view of the model of its own: the same weights under other module objects, with buffers
of their own, since `transformers` overwrites some of them (rotary frequencies) in every pass.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from queue import SimpleQueue
from typing import TypeVar

import torch

from ..data.models import LoadedModel

Item = TypeVar("Item")
Found = TypeVar("Found")


@dataclass(frozen=True)
class SideBySide:
    """Views of a model, one for each document under way; made by `side_by_side`.

    ``views`` are for what must stand on every view while documents go by; the first is the model as it was given.
    """

    views: tuple[LoadedModel, ...]
    pool: ThreadPoolExecutor | None

    def each(self, work: Callable[[LoadedModel, Item], Found], items: Iterable[Item]) -> Iterator[Found]:
        """Yield ``work(view, item)`` of every item, in the order of the items, without gradients.

        Parameters
        ----------
        work
            A function of the item alone: the view it is given must not change its result.
        """
        if self.pool is None:
            yield from (_without_gradients(work, self.views[0], item) for item in items)
            return
        free: SimpleQueue[LoadedModel] = SimpleQueue()
        for view in self.views:
            free.put(view)

        def with_a_view(item: Item) -> Found:
            view = free.get()
            try:
                return _without_gradients(work, view, item)
            finally:
                free.put(view)

        under_way: deque[Future[Found]] = deque()
        try:
            for item in items:  # no more of them than can be worked on soon: an item may be large
                under_way.append(self.pool.submit(with_a_view, item))
                if len(under_way) >= 2 * len(self.views):
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()


@contextmanager
def side_by_side(loaded: LoadedModel, floats: int, most_floats: int, documents: int) -> Iterator[SideBySide]:
    """Within the context, as many documents of a model at once as there are threads and as fit the memory.

    Parameters
    ----------
    loaded
        The model; on a GPU, and where blocks are offloaded, documents go one after the other.
    floats
        Size of one document's largest temporary.
    most_floats
        Size that the temporaries of all documents under way may have together.
    documents
        How many there are; one alone has all threads.
    """
    before = torch.get_num_threads()
    alone = loaded.device.type != "cpu" or loaded.offloaded
    workers = 1 if alone else max(1, min(before, most_floats // floats, documents))
    if workers == 1:
        yield SideBySide((loaded,), None)
        return
    views = (loaded, *(_view(loaded) for _ in range(workers - 1)))
    threads = before // workers
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads,))
    try:
        yield SideBySide(views, pool)
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # a worker's setting is the process's


@torch.no_grad()
def _without_gradients(work: Callable[[LoadedModel, Item], Found], view: LoadedModel, item: Item) -> Found:
    return work(view, item)  # the switch holds for one thread, so it is set in each


def _view(loaded: LoadedModel) -> LoadedModel:
    """Return the model under other module objects that hold the same parameters and copies of the buffers."""
    model = copy.deepcopy(loaded.model, {id(parameter): parameter for parameter in loaded.model.parameters()})
    return replace(loaded, model=model, adapter=type(loaded.adapter)(model))
