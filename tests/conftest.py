"""What all tests share: a cache of their own, capped threads, and the tiers of tests/README.md."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TIERS = ("slow", "gpu", "bench")


def pytest_configure(config: pytest.Config) -> None:
    """Cap the threads of numeric libraries before any of them is imported.

    Several workers on a few cores would otherwise each start a thread a core and wait for each other.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        if hasattr(config, "workerinput"):
            os.environ[name] = "1"  # a pytest-xdist worker; it inherits the controller's two
        else:
            os.environ.setdefault(name, "2")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line sets it
    os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the network


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow, GPU and benchmark tests unless ``-m`` asks for something."""
    if config.getoption("-m"):
        return
    out = [item for item in items if any(item.get_closest_marker(tier) for tier in TIERS)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measurements are cached in a directory that ends with the session, never in the user's."""
    cache = tmp_path_factory.mktemp("neuronull-cache")
    os.environ["NEURONULL_CACHE"] = str(cache)
    return cache
