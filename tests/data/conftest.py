import shutil

import pytest
from handmade import by_hand


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """One measurement directory made by hand for all tests, which copy it."""
    return by_hand(tmp_path_factory.mktemp("handmade") / "measured")


@pytest.fixture
def folder(template, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(template, tmp_path / "measured")
