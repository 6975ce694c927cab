"""The page of what is stored names every stage that writes, and how long that is kept."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

from helpers.documentation import ROOT
from rtpipe.catalogue.fields import path_role
from rtpipe_plugins import rtpipe_stages
from rtpipe_plugins.disk.retention import Keep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

PAGE = ROOT / "docs" / "explanation" / "what-is-stored.md"


def written() -> "Iterator[tuple[str, str, bool]]":
    """Yield each kind and its option that names a file to write, and whether it has `keep`."""
    for lazy in rtpipe_stages():
        module, _, name = lazy.target.partition(":")
        options = getattr(import_module(module), name).options_type
        keep = options.model_fields.get("keep")
        for name, field in options.model_fields.items():
            if any(path_role(each) == "output" for each in _parts(field)):
                yield lazy.kind, name, keep is not None and keep.annotation == Keep | None


def _parts(field: "FieldInfo") -> list[object]:
    return [Annotated[Path, mark] for mark in field.metadata] + list(get_args(field.annotation))


def test_every_stage_that_writes_is_on_the_page() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    stored = rows[: next(n for n, row in enumerate(rows) if row.startswith("| `realtime`"))]
    named = {(row.split("`")[1], row.split("`")[3]) for row in stored}
    kinds = list(written())
    assert {(kind, option) for kind, option, _ in kinds} == named
    kept = {row.split("`")[1] for row in stored if "`keep`" in row}
    assert {kind for kind, _, keeps in kinds if keeps} == kept
    assert {kind for kind, option, _ in kinds if option == "path"} == kept


def test_only_these_stages_open_files_to_write() -> None:
    """A new stage that writes by other means than an `OutputPath` would not be found above."""
    plugins = ROOT / "plugins" / "rtpipe_plugins"
    stages = [path for room in ("sources", "transforms", "sinks", "subscribers")
              for path in (plugins / room).rglob("*.py")]  # fmt: skip
    writers = {
        str(Path(path).relative_to(plugins).with_suffix(""))
        for path in stages
        if any(
            word in path.read_text("utf-8")
            for word in ("AppendedFile(", 'open("w', "claim(", "sqlite3.connect")
        )
    }
    assert writers == {
        "sinks/file_sink",
        "sinks/recorder/segment",
        "sinks/recorder/sidecar",
        "subscribers/delivery/outbox",
        "subscribers/jsonl",
        "subscribers/transcript/stage",
    }
