"""What holds for every test.

Hypothesis sets no time limit, since the machine is shared. The code that a test writes is trusted;
tests of trust itself take that back. The control sockets of what the tests run are their own.
"""

from __future__ import annotations

import os
import tempfile

import pytest
from hypothesis import settings

os.environ["RTPIPE_TRUST"] = "1"
_runtime = tempfile.TemporaryDirectory(prefix="rtpipe-run-")
os.environ["XDG_RUNTIME_DIR"] = _runtime.name

settings.register_profile("shared machine", deadline=None)
settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--judges",
        action="store_true",
        help="run the foreign judges alone, which install gigabytes outside the project",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run either the foreign judges or everything else."""
    wanted = config.getoption("--judges")
    others = [item for item in items if (item.get_closest_marker("judges") is None) == wanted]
    if others:
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]
