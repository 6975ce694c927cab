"""What docs/explanation/architecture.md says of the tree: packages, rooms and their sizes."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from helpers.command import ROOT

PACKAGES = {path.parent.name for path in ROOT.glob("plugins/*/__init__.py")} | {"rtpipe"}
ROOMS = sorted(
    path.parent for top in ("pipeline", "plugins") for path in (ROOT / top).rglob("__init__.py")
)


def test_a_package_is_built_checked_and_held_by_contracts() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]
    built = tool["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {Path(package).name for package in built} == PACKAGES
    assert set(tool["mypy"]["packages"]) == PACKAGES
    assert set(tool["importlinter"]["root_packages"]) == PACKAGES
    contracts = {contract["name"]: contract for contract in tool["importlinter"]["contracts"]}
    circles = contracts["No circle, neither between rooms nor within them"]
    assert set(circles["ancestors"]) == PACKAGES
    (door,) = (contract for name, contract in contracts.items() if "public door" in name)
    assert set(door["source_modules"]) == PACKAGES - {"rtpipe"}
    assert all((folder / "py.typed").is_file() for folder in ROOT.glob("plugins/rtpipe_*"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_a_room_says_what_lives_there_and_is_no_hall(room: Path) -> None:
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text("utf-8"))) or ""
    assert said.partition("\n")[0].endswith(".")
    modules = list(room.glob("*.py"))
    assert len(modules) <= 20 or room.name == "language"
    lines = {path.name: path.read_text("utf-8").count("\n") for path in modules}
    assert not {name: count for name, count in lines.items() if count > 400}
