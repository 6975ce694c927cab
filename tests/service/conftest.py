"""What the tests of services share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helpers.service_manager import Manager


@pytest.fixture
def new_manager() -> Iterator[Callable[[str], Manager]]:
    made: list[Manager] = []

    def make(address: str) -> Manager:
        made.append(Manager(address))
        return made[-1]

    yield make
    for manager in made:
        manager.close()


@pytest.fixture
def manager(new_manager: Callable[[str], Manager]) -> Iterator[Manager]:
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        yield new_manager(f"{Path(folder) / 'notify'}")
