"""Where the items of a stage are worked on: in this process (`Local`), or by workers that share them out.

A stage is a `Work` and its items (documents, or tiles of scored positions).  What comes of an item is a function of
work, model and item alone, so no number depends on the engine, nor on which worker had the item.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

import torch

from ..data.devices import ALL, all_devices
from ..data.errors import InputError
from ..data.models import LoadedModel, copied
from ..data.options import Progress, Silent
from ..data.shards import Shards, told
from .compiled import settled_threads
from .side_by_side import SideBySide, side_by_side

Item = TypeVar("Item", contravariant=True)
Found = TypeVar("Found", covariant=True)

Each: TypeAlias = Callable[[Iterable[Any]], Iterator[Any]]
"""Given items, what was found of each, in their order."""


class Work(Protocol, Generic[Item, Found]):
    """What is done with each item of a stage; it is sent to other machines, so it holds data and no open thing."""

    def opened(self, view: LoadedModel) -> AbstractContextManager[Callable[[Item], Found]]:
        """Make what all items need of a model, once; the context yields what is done with one item."""


@dataclass(frozen=True)
class Size:
    """How much one item takes, and how many may be under way together.

    Parameters
    ----------
    floats
        Size of one item's largest temporary.
    most
        Size that the temporaries of all items under way may have together.
    items
        How many there are.
    """

    floats: int
    most: int
    items: int


def placed(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device, in memory of its own.

    Where a matrix begins in memory decides how its products are rounded, and a part of a larger one begins anywhere;
    so an item that was sent and one that was not would differ in the last digit.
    """
    return tensor.to(device) if device.type != "cpu" else tensor.clone()


ALONE = Size(1, 1, 1)
"""One item after the other, each with all threads."""


class Engine(Protocol):
    """Works on the items of a stage.

    ``ahead`` is how many items should be handed over at a time where a caller makes them in portions.
    """

    ahead: int

    def spread(self, loaded: LoadedModel, work: Work[Any, Any], size: Size) -> AbstractContextManager[Each]:
        """Within the context, items can be given, and what is found comes back in their order.

        Raises
        ------
        InputError
            If the engine cannot work with this model; while items are worked on, if there is not enough memory.
        """


class Local:
    """Works in this process: on the CPU on as many documents side by side as there are threads."""

    ahead = 1

    @contextmanager
    def spread(self, loaded: LoadedModel, work: Work[Any, Any], size: Size) -> Iterator[Each]:
        """As `Engine.spread`; items are taken one after the other, or all at once where they go side by side."""
        settled_threads()
        with self.beside(loaded, size) as documents, ExitStack() as stack:
            compute = {id(view): stack.enter_context(work.opened(view)) for view in documents.views}

            def one(view: LoadedModel, item: Any) -> Any:
                return compute[id(view)](item)

            def each(items: Iterable[Any]) -> Iterator[Any]:
                return documents.each(one, items)

            yield each

    def beside(self, loaded: LoadedModel, size: Size) -> AbstractContextManager[SideBySide]:
        """Views of the model, one for each item under way."""
        return side_by_side(loaded, size.floats, size.most, size.items)


class Devices(Local):
    """Works in this process on several devices at once, with a copy of the model on each.

    Parameters
    ----------
    devices
        The first is the one that a model is loaded on.
    """

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self._devices = list(devices)
        self._copied = ""
        self._copies: tuple[LoadedModel, ...] = ()
        self.ahead = len(self._devices)

    @contextmanager
    def beside(self, loaded: LoadedModel, size: Size) -> Iterator[SideBySide]:
        """A copy on each device; it stays for the next stage, which may have loaded the same model again."""
        if loaded.offloaded:
            raise InputError("the model does not fit on one device", f"--device {ALL}", "give one device: cuda")
        if self._copied != loaded.hash:
            self._copied, self._copies = "", ()  # two models a device are one too many
            self._copies = tuple(copied(loaded, device) for device in self._devices[1:])
            self._copied = loaded.hash
        views = (loaded, *self._copies)
        pool = ThreadPoolExecutor(len(views))
        try:
            yield SideBySide(views, pool)
        finally:
            pool.shutdown(cancel_futures=True)


class Workplace:
    """Where a stage is worked on, where what it has finished is kept, and who is told how far it is.

    Parameters
    ----------
    progress, shards, engine
        Nobody, nowhere and here if None.
    """

    def __init__(
        self, progress: Progress | None = None, shards: Shards | None = None, engine: Engine | None = None
    ) -> None:
        self.progress, self.shards, self.engine = progress or Silent(), shards or Shards(), engine or Local()

    def fill(
        self,
        name: str,
        loaded: LoadedModel,
        work: Work[Any, Any],
        parts: Sequence[slice],
        item: Callable[[slice], Any],
        *into: torch.Tensor,
        unit: str = "documents",
        size: Size = ALONE,
    ) -> None:
        """Do what earlier runs have left of a stage.

        Parameters
        ----------
        name
            Of the stage, one for each of a measurement.
        parts
            What is worked on at a time: a document, or a tile of positions, as its place on the first axis of `into`.
        item
            What a work needs of a part; made when its turn comes.
        into
            Tensors that are filled in: one, or as many as the work gives back.
        unit
            What the first axis counts, for whoever watches.
        """
        total = sum(part.stop - part.start for part in parts)
        with self.shards.stage(name, *into) as kept:
            before = set(kept.fill())
            left = [part for part in parts if not before.issuperset(range(part.start, part.stop))]
            todo = sum(part.stop - part.start for part in left)
            size = replace(size, items=max(1, min(size.items, len(left))))
            with (
                self.progress.stage(told(name, total - todo, total, unit), todo) as stage,
                self.engine.spread(loaded, work, size) as each,
            ):
                for part, found in zip(left, each(map(item, left)), strict=True):
                    for whole, value in zip(into, found if len(into) > 1 else (found,), strict=True):
                        whole[part] = value
                    kept.add(range(part.start, part.stop))
                    stage.advance(part.stop - part.start)


@contextmanager
def engine_of(name: str, portion: int | None = None, device: str = "auto") -> Iterator[Engine]:
    """Within the context, the engine of a name; afterwards its workers are gone.

    Parameters
    ----------
    name
        ``local`` or ``ray``.
    portion
        Items that a worker is given at a time; by the engine if None.
    device
        The ``--device`` option: with ``cuda:all`` the local engine works on every CUDA device.

    Raises
    ------
    InputError
        If the package that it needs is not installed.
    """
    if name == "local":
        devices = all_devices(device)
        yield Devices(devices) if len(devices) > 1 else Local()
        return
    try:
        from .ray_engine import RayEngine
    except ImportError as error:
        raise InputError("Ray is not installed", "--engine ray", "pip install 'neuronull[ray]'") from error
    engine = RayEngine(portion)
    try:
        yield engine
    finally:
        engine.close()
