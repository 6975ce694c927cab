"""`rtpipe new`: asks what must be known, writes a folder, and says what to type next."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from rtpipe import (
    MODELINE,
    ExitCode,
    RtpipeError,
    installed_kinds,
    trust_folder,
    write_editor_files,
)
from rtpipe.errors import printable
from rtpipe_new.folders import filled, new_folder, write_private, written
from rtpipe_new.naming import names_of

_PATH = click.Path(path_type=Path)
_PERSONA = "a museum's information desk"
_CAMERA = "rtsp://127.0.0.1:8554/live"
_LONGEST = 200
_EXAMPLES = {
    "source": "{} ! blackhole",
    "transform": "tone duration_s=1 ! {} ! blackhole",
    "peer": "tone duration_s=1 ! {} ! blackhole",
    "sink": "tone duration_s=1 ! {}",
    "subscriber": "tone duration_s=1 ! blackhole",
}


@click.group()
def new() -> None:
    """Begin a kiosk, a recorder, a monitor, a transcriber, or a stage.

    A folder is written with a pipeline that runs at once, offline, and has tests. What must be
    known is asked for; `--yes` takes what is proposed.
    """


def _folder(command: Any) -> Any:
    yes = click.option("--yes", is_flag=True, help="Ask nothing: take what is proposed.")
    return click.argument("folder", type=_PATH, metavar="FOLDER")(yes(command))


def _persona(command: Any) -> Any:
    return click.option("--persona", metavar="TEXT", help="Whose voice it is.")(command)


def _device(command: Any) -> Any:
    return click.option("--device", metavar="NAME", help="As `rtpipe devices` has it.")(command)


@new.command()
@_persona
@_device
@_folder
def kiosk(folder: Path, *, yes: bool, persona: str | None, device: str | None) -> None:
    """Begin a kiosk: a visitor talks to a model, or offline to rules."""
    asking = _Asking(yes=yes)
    persona = asking.text(persona, "Whose voice is it?", _PERSONA)
    device = asking.text(device, "Which microphone and loudspeaker? (`rtpipe devices`)", "default")
    key = asking.secret("A key of OpenAI? (Enter: none, it answers by rules)")
    values = {"persona": persona, "device": device}
    values["description"] = f"A visitor talks to {persona}."
    plain = re.sub(r"[{}$]", "", persona)  # a rule fills in what stands in braces
    values["welcome"] = f"Welcome to {plain}! How can I help you?"
    _begin("kiosk", folder, values, key)


@new.command()
@_device
@_folder
def recorder(folder: Path, *, yes: bool, device: str | None) -> None:
    """Begin a recorder: a microphone into files that survive a power cut."""
    device = _Asking(yes=yes).text(device, "Which microphone? (`rtpipe devices`)", "default")
    _begin("recorder", folder, {"device": device})


@new.command()
@_device
@_folder
def monitor(folder: Path, *, yes: bool, device: str | None) -> None:
    """Begin a monitor: who speaks in front of a camera."""
    device = _Asking(yes=yes).text(device, "Which camera?", _CAMERA)
    _begin("monitor", folder, {"device": device})


@new.command()
@_folder
def transcribe(folder: Path, *, yes: bool) -> None:
    """Begin a transcriber: recordings become text."""
    key = _Asking(yes=yes).secret("A key of OpenAI? (Enter: none, it is recognised here)")
    _begin("transcribe", folder, {}, key)


@new.command()
@click.option(
    "--kind",
    "family",
    type=click.Choice(["source", "transform", "peer", "sink", "subscriber"]),
    default="transform",
    show_default=True,
    help="Which of the five kinds of stage it is.",
)
@click.option("--file", "alone", is_flag=True, help="Only plugins/NAME.py, beside pipeline files.")
@click.argument("name")
def stage(name: str, family: str, *, alone: bool) -> None:
    """Begin a stage: a package rtpipe-NAME that can be installed, with tests."""
    names = names_of(name, installed_kinds())
    values = {**names.values(), "example": _EXAMPLES[family].format(names.kind)}
    if alone:
        path = Path("plugins") / f"{names.module}.py"
        written(path, filled(f"stage/{family}.py.in", values))
        trust_folder(Path())
        _next(f"wrote {path}", f"rtpipe stages {names.kind}", f"- {names.kind}", in_file=True)
        return
    folder = Path(names.distribution)
    package = f"src/{names.package}"
    with new_folder(folder) as place:
        for source, target in (
            (f"stage/{family}.py.in", f"{package}/__init__.py"),
            (f"stage/test_{family}.py.in", f"tests/test_{names.module}.py"),
            ("stage/pyproject.toml.in", "pyproject.toml"),
            ("stage/README.md", "README.md"),
            ("stage/gitignore", ".gitignore"),
        ):
            written(place / target, filled(source, values))
        written(place / package / "py.typed", "")
    _next(f"wrote {folder}", f"pip install -e {folder}", f"pytest {folder}")


class _Asking:
    """Asks at a terminal, and takes what is proposed where nobody is there to answer."""

    def __init__(self, *, yes: bool) -> None:
        self._silent = yes or not sys.stdin.isatty()

    def text(self, given: str | None, question: str, proposed: str) -> str:
        """Return an answer on one line."""
        answer = given
        if answer is None:
            answer = (
                proposed if self._silent else click.prompt(question, default=proposed, err=True)
            )
        answer = answer.strip()
        if not answer.isprintable() or not 0 < len(answer) <= _LONGEST:
            raise RtpipeError(
                f"an answer is one line of at most {_LONGEST} characters",
                exit_code=ExitCode.USAGE,
            )
        return answer

    def secret(self, question: str) -> str:
        """Return what is typed unseen; "" for nothing."""
        if self._silent:
            return ""
        typed: str = click.prompt(
            question, default="", hide_input=True, show_default=False, err=True
        )
        if typed and not re.fullmatch(r"[\x21-\x7e]{8,500}", typed):
            raise RtpipeError("this is no key: it has letters, digits and signs, and no spaces")
        return typed


def _begin(kind: str, folder: Path, values: dict[str, str], key: str = "") -> None:
    """Write a template's folder, whole or not at all."""
    with new_folder(folder) as place:
        for source in _files_of(kind):
            target = source.removeprefix(f"{kind}/").replace("gitignore", ".gitignore")
            written(place / target, filled(source, {**values, "modeline": MODELINE}))
        write_editor_files(place)
        if key:
            write_private(place / ".env", f"OPENAI_API_KEY={key}\n")
    trust_folder(folder)
    env = "--env-file .env " * bool(key)
    _next(f"wrote {folder}", f"cd {folder}", f"rtpipe run {env}{kind}.yaml", "rtpipe test")


def _files_of(kind: str) -> list[str]:
    from rtpipe_new.folders import TEMPLATES

    found = (path for path in (TEMPLATES / kind).rglob("*") if path.is_file())
    return sorted(str(path.relative_to(TEMPLATES)) for path in found)


def _next(done: str, *commands: str, in_file: bool = False) -> None:
    click.echo(printable(done), err=True)
    click.echo("\nnext:" if not in_file else "\nnext, and in a pipeline file:", err=True)
    for command in commands:
        click.echo(f"  {printable(command)}")
