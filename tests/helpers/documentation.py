"""The pages of the documentation, taken apart: their blocks, links and commands.

A comment above a block says how the block is tested; it is not seen by readers:

    <!-- file: NAME -->            the block is this file, relative to where the reader works
    <!-- overlay: FILE -->         it is put on top of FILE
    <!-- wrong on purpose -->      it must not be valid
    <!-- rules of serve-realtime -->
    <!-- script of serve-realtime -->
    <!-- slow -->                  run with the slow tests
    <!-- not run: WHY -->          neither run nor validated
    <!-- run by TEST: WHY -->      another test does
"""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(
    r"^(?P<fence>```+)(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL
)
_NOTE = re.compile(r"^<!-- (.*) -->$")
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_SECONDS = re.compile(r"\d\d:\d\d\.\d")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block; `line` counts from 1 and is its first line of text."""

    page: Path
    line: int
    language: str
    text: str
    notes: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    def note(self, name: str) -> str | None:
        """Return what a comment above the block says after its name; "" if it says no more."""
        for note in self.notes:
            head, _, rest = note.partition(":")
            if head == name or (name == "run by" and head.startswith("run by ")):
                return rest.strip()
        return None


def pages() -> list[Path]:
    """Return every page."""
    top = [ROOT / name for name in ("README.md", "CHANGELOG.md")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(*languages: str, page: Path | None = None) -> list[Block]:
    """Return the blocks in some languages, of one page or of all."""
    found = [block for each in ([page] if page else pages()) for block in _blocks(each)]
    return [block for block in found if block.language in languages]


def _blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        notes: list[str] = []
        for line in reversed(text[: found.start()].rstrip("\n").splitlines()):
            note = _NOTE.match(line)
            if note is None:
                break
            notes.insert(0, note.group(1))
        number = text.count("\n", 0, found.start("text")) + 1
        yield Block(page, number, found["language"], found["text"], tuple(notes))


def write_files(page: Path, folder: Path, *, before: int | None = None) -> None:
    """Make `folder` what the reader of a page has: the pipelines, and the page's own files.

    Args:
        page: The page.
        folder: An empty folder.
        before: Write the files of the blocks up to this line only.
    """
    (folder / "credentials").mkdir(exist_ok=True)
    (folder / "credentials" / "openai").write_text("sk-of-nobody\n")
    if not (folder / "pipelines").exists():
        ignore = shutil.ignore_patterns("out")
        shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=ignore)
    for block in _blocks(page):
        name = block.note("file")
        if name is not None and (before is None or block.line <= before):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")


@dataclass(frozen=True)
class Exchange:
    """A command of a console block, and what it printed."""

    command: str
    output: str


def exchanges(block: Block) -> list[Exchange]:
    """Return the commands of a console block with their outputs."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    return [Exchange(*part.split("\n", 1)) for part in parts]


def shown_as(line: str) -> re.Pattern[str]:
    """Return what a line of output may look like: `…` is anything, and so is the time of a run."""
    at = _SECONDS.match(line)
    rest = line[at.end() :] if at else line
    return re.compile((_SECONDS.pattern if at else "") + re.escape(rest).replace("…", ".*"))


def commands(page: Path) -> list[tuple[str, str]]:
    """Return the place and the text of every shell command that a page shows."""
    found: list[tuple[str, str]] = []
    for block in _blocks(page):
        if block.language == "console":
            found += [(str(block), each.command) for each in exchanges(block)]
        elif block.language == "sh":
            found += [(str(block), line) for line in block.text.splitlines()]
        elif block.language == "ini":
            lines = re.findall(r"^ExecStart=(.*)$", block.text, re.MULTILINE)
            found += [(str(block), line) for line in lines]
    prose = _FENCE.sub("", page.read_text("utf-8"))
    place = str(page.relative_to(ROOT))
    return found + [(place, code) for code in _CODE.findall(prose)]


def rtpipe_arguments(command: str) -> Iterator[list[str]]:
    """Yield the arguments of each call of rtpipe in a shell command."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return  # an unpaired quote: prose
    call: list[str] = []
    for word in [*words, ";"]:
        if set(word) <= set(";|&<>()"):
            if call and call[0].rpartition("/")[2] in {"rtpipe", "bootstrap"} and len(call) > 1:
                yield call[1:]
            call = []
        elif call or not _ASSIGNMENT.fullmatch(word):
            call.append(word)


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and images, those on the web left out."""
    prose = _FENCE.sub("", page.read_text("utf-8"))
    found = [text or image for text, image in _LINK.findall(prose)]
    return [target for target in found if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text("utf-8")))
    plain = [re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}
