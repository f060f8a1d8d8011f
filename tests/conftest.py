"""What holds for all tests: how examples are drawn, the order of files, and where real data are."""

import os
from pathlib import Path

import hypothesis
import pytest

# Whether a change lands must not hang on a draw: there the examples are the same each time, elsewhere always new ones.
hypothesis.settings.register_profile("CI", derandomize=True)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("CI")

# Workers of pytest-xdist share two cores; more threads than cores only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# Whole files are given to a worker; the long ones come first, so that none of them is what all wait for at the end.
LONG = ("test_docs", "comparison", "fuzzing", "test_distributed_runs", "test_export", "test_browser", "test_sklearn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order tests by their files, the long ones first."""
    items.sort(key=lambda item: min((LONG.index(name) for name in LONG if name in item.nodeid), default=len(LONG)))


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real data sets, named by the environment variable UNCONFOUND_DATA."""
    root = os.environ.get("UNCONFOUND_DATA")
    if not root:
        pytest.skip("UNCONFOUND_DATA does not name the folder of real data sets")
    return Path(root)
