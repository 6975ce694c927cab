"""`rtpipe print --why KEY`: what a value is, and who set it, the one that counts first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from rtpipe.cli import cli

FILES = {
    "base.yaml": "vars: {loud: -20}\n",
    "a.yaml": """
version: 1
include: base.yaml
vars: {voice: marin}
stages:
  - tone: {level_dbfs: "${loud}"}
  - gain: 3
  - speaker: {device: "${env:HALL:-USB}"}
    queue: {max_ms: 90}
profiles: {soft: {stages: {gain: {gain: -6}}}}
""",
    "over.yaml": "stages: {gain: {gain: {gain_db: 1}}}\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)


def why(key: str, *arguments: str, code: int = 0) -> Result:
    ran = CliRunner().invoke(cli, ["print", "a.yaml", *arguments, "--why", key])
    assert ran.exit_code == code, ran.output
    return ran


@pytest.mark.parametrize(
    ("key", "arguments", "said"),
    [
        ("gain.gain_db", (), "gain.gain_db is 3.0\n  a.yaml:7:11  3\n"),
        ("stages.gain.gain_db", (), "stages.gain.gain_db is 3.0\n  a.yaml:7:11  3\n"),
        (
            "gain.gain_db",
            ("over.yaml", "--profile", "soft", "--set", "gain.gain_db=-1"),
            (
                "gain.gain_db is -1.0\n"
                "  --set:1:14      -1\n"
                "  a.yaml:10:41    -6  by profile soft  (overridden)\n"
                "  over.yaml:1:33  1  (overridden)\n"
                "  a.yaml:7:11     3  (overridden)\n"
            ),
        ),
        (
            "tone.level_dbfs",
            (),
            (
                'tone.level_dbfs is -20.0\n  a.yaml:6:24  "${loud}"\n'
                "  = note: `--why vars.loud` says who set that\n"
            ),
        ),
        ("vars.loud", (), "vars.loud is -20\n  base.yaml:1:14  -20\n"),
        (
            "vars.loud",
            ("--set", "vars.loud=-9"),
            "vars.loud is -9\n  --set:1:11      -9\n  base.yaml:1:14  -20  (overridden)\n",
        ),
        ("speaker.device", (), 'speaker.device is USB\n  a.yaml:8:23  "${env:HALL:-USB}"\n'),
        ("speaker.queue.max_ms", (), "speaker.queue.max_ms is 90\n  a.yaml:9:21  90\n"),
        (
            "gain.unit",
            (),
            "",
        ),
    ],
)
def test_who_set_it(key: str, arguments: tuple[str, ...], said: str) -> None:
    if said:
        assert why(key, *arguments).stdout == said
    else:
        assert "there is no `gain.unit`" in why(key, code=2).stderr


def test_a_default_is_the_kinds() -> None:
    assert why("tone.frequency").stdout == (
        "tone.frequency is 440.0: nobody set it, so it is the default of `tone`\n"
    )


def test_for_programs_values_have_types_of_their_own() -> None:
    told = json.loads(why("gain.gain_db", "--set", "gain.gain_db=-1", "--json").stdout)
    assert told["value"] == -1.0
    assert [layer["value"] for layer in told["layers"]] == [-1, 3]
    assert told["default_of"] is None


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "version: 1\nstages: [tone, realtime: {api_key: sk-0123456789}, blackhole]\n"
    )
    for form in ((), ("--json",)):
        assert "0123456789" not in why("realtime.api_key", *form).output


@pytest.mark.parametrize(
    ("key", "help"), [("gain.gian_db", "did you mean `gain.gain_db`?"), ("x", "for example `[")]
)
def test_a_key_that_there_is_not(key: str, help: str) -> None:
    assert help in why(key, code=2).stderr
