"""Pipeline files with one ordinary mistake each, as a user of the documentation makes it.

A file of `tests/mistakes` says in its first lines what must be found, and where, counted with
those lines:

    #! E103 6:17                    an error; several in the order of the file
    #! E702 9:12 warning
    #! fix: 0.8                     what its help writes there, without the space around it
    #! no fix: which of the two is meant only its author knows
    #! says: from 0 to 1            stands in the help of the first finding
    #! machine                      also look at what this machine lacks
    #! run: --until call.ended      more of the command line

The fixed file must hold without a finding, and be audible: see `test_mistakes.py`. A path in a file
starts from its folder; what it needs lies in `tests/mistakes/beside`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from helpers.documentation import ROOT

FOLDER = ROOT / "tests" / "mistakes"
_FOUND = re.compile(r"(E\d{3}) (\d+):(\d+)( warning)?")


@dataclass
class Mistake:
    """One file and what is said about it."""

    path: Path
    found: list[tuple[str, int, int, str]] = field(default_factory=list)
    """Code, line, column, severity."""
    fix: str | None = None
    says: str = ""
    machine: bool = False
    run: tuple[str, ...] = ()

    def __str__(self) -> str:
        return str(self.path.relative_to(FOLDER))

    @property
    def text(self) -> str:
        return self.path.read_text("utf-8")


def mistakes() -> list[Mistake]:
    """Return every file of the collection."""
    folders = sorted(each for each in FOLDER.iterdir() if each.is_dir() and each.name != "beside")
    return [_read(path) for folder in folders for path in sorted(folder.glob("*.yaml"))]


def _read(path: Path) -> Mistake:
    made = Mistake(path)
    explained = False
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#! "):
            break
        word, _, rest = line.removeprefix("#! ").partition(":")
        found = _FOUND.fullmatch(line.removeprefix("#! "))
        if found:
            code, number, column, warning = found.groups()
            severity = "warning" if warning else "error"
            made.found.append((code, int(number), int(column), severity))
        elif word == "fix":
            made.fix = rest.strip()
        elif word == "no fix":
            explained = True
        elif word == "says":
            made.says = rest.strip()
        elif word == "machine":
            made.machine = True
        elif word == "run":
            made.run = tuple(rest.split())
        else:
            raise ValueError(f"{path}: {line}")
    assert made.found, f"{path} does not say what is found in it"
    assert explained is (made.fix is None), f"{path} says neither its fix nor why there is none"
    return made
