"""Every kind that ships keeps the contract, found the way a stranger's plugin is found."""

from typing import Any

import pytest

from rtpipe import EnvironmentProblem
from rtpipe.catalogue.plugins import Registry
from rtpipe.stage import Stage
from rtpipe.testing import check_stage, stage_types
from rtpipe.testing.declaration import declaration_findings

SLOW = {"url", "recorder", "realtime", "mqtt"}


def shipped(*, slow: bool) -> list[Any]:
    return [
        pytest.param(each, id=each.kind, marks=[pytest.mark.slow] * (slow and each.kind in SLOW))
        for each in stage_types("rtpipe-media")
    ]


@pytest.mark.parametrize("stage_type", shipped(slow=False))
def test_a_shipped_kind_declares_itself(stage_type: type[Stage[Any]]) -> None:
    assert list(declaration_findings(stage_type)) == []


@pytest.mark.parametrize("stage_type", shipped(slow=True))
def test_a_shipped_kind_keeps_the_contract(stage_type: type[Stage[Any]]) -> None:
    try:
        check_stage(stage_type)
    except EnvironmentProblem as problem:
        pytest.skip(str(problem))


def test_what_ships_is_found_by_its_entry_point() -> None:
    found = Registry.discover()
    assert found.kinds.owner("mic").origin.startswith("rtpipe-media ")
    assert not found.faulty
