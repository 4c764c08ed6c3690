"""One thread for numeric libraries while hypotheses are tested: no number depends on the machine's number of cores.

Libraries split a sum among their threads, and another split rounds otherwise.  What is tested is split into tiles of
draws instead (`engine.TILE`), whose place the replicate numbers alone give; workers take tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numba
import torch
from threadpoolctl import threadpool_limits

from ..data.options import TestOptions


@contextmanager
def limited_to(threads: int) -> Iterator[int]:
    """Within the context numeric libraries use this many threads; yields how many PyTorch had before.

    Numba's loops keep theirs: they add whole numbers, or each element on its own.
    """
    before = torch.get_num_threads()
    numba.get_num_threads()  # starts its threads, which sets PyTorch's number too where both share an OpenMP library
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads):
            yield before
    finally:
        torch.set_num_threads(before)


def with_jobs(options: TestOptions, threads: int) -> TestOptions:
    """The options with a worker for each of the threads, where nobody said how many workers there are to be."""
    return replace(options, jobs=options.jobs or threads)
