"""What is written beside a pipeline file for an editor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from helpers.command import ROOT
from helpers.specimens import registry
from rtpipe import MODELINE, write_editor_files
from rtpipe.catalogue.editor import SCHEMA_FILE, schema_text
from rtpipe.catalogue.schema import make_schema
from rtpipe.cli import cli


def test_the_schema_is_written_anew_and_somebodys_settings_stay(tmp_path: Path) -> None:
    written = write_editor_files(tmp_path, registry=registry())
    names = [str(path.relative_to(tmp_path)) for path in written]
    assert names == [SCHEMA_FILE, ".vscode/settings.json", ".vscode/extensions.json"]
    (tmp_path / ".vscode/settings.json").write_text("{} // mine")
    (tmp_path / SCHEMA_FILE).write_text("old")
    assert write_editor_files(tmp_path, registry=registry()) == [tmp_path / SCHEMA_FILE]
    assert (tmp_path / ".vscode/settings.json").read_text() == "{} // mine"
    assert json.loads((tmp_path / SCHEMA_FILE).read_text()) == make_schema(registry())


def test_the_text_is_the_schema_a_line_for_each_definition() -> None:
    text = schema_text(registry())
    assert json.loads(text) == make_schema(registry())
    assert len(text.splitlines()) > len(make_schema(registry())["$defs"])


def test_the_modeline_names_the_file_that_is_written() -> None:
    assert MODELINE.endswith(f" $schema=./{SCHEMA_FILE}")


def test_every_pipeline_that_ships_names_a_schema_that_is_there() -> None:
    files = sorted((ROOT / "pipelines").glob("*.yaml"))
    assert files
    assert all(file.read_text().startswith(f"{MODELINE}\n") for file in files)
    assert (ROOT / "pipelines" / SCHEMA_FILE).is_file()


@pytest.mark.slow
def test_the_command_writes_it_with_the_stages_of_a_trusted_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RTPIPE_TRUST", raising=False)
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "mine.py").write_text(
        "from rtpipe import Options, Transform, hookimpl\n"
        "class Mine(Transform[Options]):\n"
        "    kind = 'mine'\n"
        "    def process(self, frame): return frame\n"
        "@hookimpl\n"
        "def rtpipe_stages(): return [Mine]\n"
    )
    run = CliRunner().invoke(cli, ["schema", "--write", str(tmp_path)])
    assert run.exit_code == 0
    assert MODELINE in run.stderr
    schema = json.loads((tmp_path / SCHEMA_FILE).read_text())
    assert "options.mine" not in schema["$defs"]
    assert "mine" in schema["$comment"]
    run = CliRunner().invoke(cli, ["schema", "--write", str(tmp_path), "--trust"])
    assert run.stdout == f"wrote {tmp_path / SCHEMA_FILE}\n"
    assert "options.mine" in json.loads((tmp_path / SCHEMA_FILE).read_text())["$defs"]


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / SCHEMA_FILE).mkdir()
    run = CliRunner().invoke(cli, ["schema", "--write", str(tmp_path)])
    assert run.exit_code == 77
    assert f"cannot write to {tmp_path}: Is a directory" in run.output + str(run.stderr)
