"""Options of the commands that take a pipeline, and of those that list things."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from rtpipe.catalogue.trust import VARIABLE
from rtpipe.cli.settings import Settings, common_options
from rtpipe.errors import ConfigError, printable
from rtpipe.wording.diagnostics import Findings, Span
from rtpipe.wording.rendering import render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtpipe.catalogue.plugins import Registry
    from rtpipe.language.loading import Choices, Loaded
    from rtpipe.wording.diagnostics import Diagnostic

F = TypeVar("F", bound="Callable[..., Any]")

_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)", re.DOTALL)
_STDIN = Path("-")
_STDIN_NAME = Path("<stdin>")


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """Which pipeline the command line asks for.

    Attributes:
        files: A pipeline file and overlays; `-` is standard input.
        expression: What `-x` says, instead of files.
        sets: Every `--set`.
        profile: `--profile`.
        env_file: `--env-file`.
        plugins_dirs: Every `--plugins-dir`.
        trust: `--trust`.
    """

    files: tuple[Path, ...] = ()
    expression: str | None = None
    sets: tuple[str, ...] = ()
    profile: str | None = None
    env_file: Path | None = None
    plugins_dirs: tuple[Path, ...] = ()
    trust: bool = False

    def load(
        self,
        *,
        warn: bool = True,
        examine: Literal["file", "machine"] | None = None,
        registry: Registry | None = None,
        why: Sequence[str] = (),
    ) -> Loaded:
        """Return the pipeline, and print its warnings on stderr unless `-q` or not `warn`.

        Args:
            warn: Whether to print the warnings.
            examine: How closely the stages examine themselves; see `Choices`.
            registry: The plugins, where they are known already.
            why: Where a value stands whose layers are wanted; see `Choices`.

        Raises:
            ConfigError: With everything that is wrong.
            click.UsageError: Neither files nor an expression, or both.
        """
        if (self.expression is None) == (not self.files):
            raise click.UsageError("give either pipeline files or -x EXPRESSION")
        self._fill_environment()
        loaded = self._load(self.files, examine, registry, why)
        if warn:
            _print_warnings(loaded.warnings)
        return loaded

    def load_each(
        self, *, examine: Literal["file", "machine"] | None, registry: Registry
    ) -> list[Loaded]:
        """Return each file's own pipeline, all else as `load` does for one.

        Raises:
            ConfigError: With everything that is wrong in any of them.
            click.UsageError: There are no files, or there is an expression.
        """
        if self.expression is not None or not self.files:
            raise click.UsageError("--each runs files: give them, and no -x")
        if self.files.count(_STDIN) > 1:
            raise click.UsageError("`-` can be given once: there is one standard input")
        self._fill_environment()
        pipelines: list[Loaded] = []
        failures: list[ConfigError] = []
        for file in self.files:
            try:
                pipelines.append(self._load((file,), examine, registry))
            except ConfigError as error:
                failures.append(error)
        if failures:
            found = dict.fromkeys(each for error in failures for each in error.diagnostics)
            raise ConfigError([*found])
        # what is wrong with a plugin is told with every file
        _print_warnings([*dict.fromkeys(each for loaded in pipelines for each in loaded.warnings)])
        return pipelines

    def loaders(self, *, each: bool) -> list[Callable[[], Loaded] | None]:
        """Return what loads the pipelines again, by the present text of their files.

        None for what came by standard input or by a pipe, which is read.
        """
        groups = [(file,) for file in self.files] if each else [self.files]
        return [None if any(map(_is_piped, files)) else self._loader(files) for files in groups]

    def _loader(self, files: tuple[Path, ...]) -> Callable[[], Loaded]:
        return lambda: self._load(files, "file", None)

    def _fill_environment(self) -> None:
        if self.env_file is not None:
            for name, value in read_env_file(self.env_file).items():
                if name != VARIABLE:  # who wrote the file may be whom it asks to trust
                    os.environ.setdefault(name, value)  # stages read their keys there themselves

    def _load(
        self,
        files: tuple[Path, ...],
        examine: Literal["file", "machine"] | None,
        registry: Registry | None,
        why: Sequence[str] = (),
    ) -> Loaded:
        from rtpipe.language.loading import from_expression, from_text, load

        choices: Choices = {
            "sets": self.sets,
            "profile": self.profile,
            "plugins_dirs": self.plugins_dirs,
            "examine": examine,
            "registry": registry,
            "trust": self.trust,
            "strict_overlays": True,
            "why": why,
        }
        if self.expression is not None:
            return from_expression(self.expression, **choices)
        if files == (_STDIN,):
            return from_text(_standard_input(), path=_STDIN_NAME, **choices)
        return load(files, **choices)

    @property
    def title(self) -> str:
        """What to call the pipeline in a message."""
        return self.expression or " ".join(str(path) for path in self.files)


def _is_piped(file: Path) -> bool:
    return file == _STDIN or not file.is_file()


def _print_warnings(warnings: Sequence[Diagnostic]) -> None:
    settings = Settings.current()
    if warnings and settings.verbosity >= 0:
        text = render(warnings, colour=settings.colour(sys.stderr))
        dressed = settings.log_format.dressed(f"{text}\n", logging.WARNING)
        click.echo(dressed, err=True, nl=False)


def _standard_input() -> str:
    from rtpipe.language.bounds import MAX_BYTES
    from rtpipe.language.files import decode, report_size

    findings = Findings()
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        report_size(_STDIN_NAME, findings)
    text = decode(data, _STDIN_NAME, findings)
    if text is None or findings.failed:
        raise ConfigError(findings.errors())
    return text


def pipeline_options(command: F) -> F:
    """Let a click command take a pipeline; it is called with `pipeline: PipelineRequest`.

    ```
    @click.command()
    @pipeline_options
    def show(pipeline: PipelineRequest) -> None:
        loaded = pipeline.load()
    ```
    """

    @wraps(command)
    def with_request(
        *args: Any,
        files: tuple[Path, ...],
        expression: str | None,
        sets: tuple[str, ...],
        profile: str | None,
        env_file: Path | None,
        plugins_dirs: tuple[Path, ...],
        trust: bool,
        **kwargs: Any,
    ) -> Any:
        request = PipelineRequest(files, expression, sets, profile, env_file, plugins_dirs, trust)
        return command(*args, pipeline=request, **kwargs)

    decorated: Any = with_request
    for option in (
        common_options,
        plugin_options,
        click.option(
            "--env-file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="KEY=VALUE lines for variables that the environment does not set.",
        ),
        click.option("--profile", metavar="NAME", help="Apply one of the file's profiles."),
        click.option(
            "--set",
            "sets",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change a value: mic.device=USB, vars.voice=cedar, 'mic={file: {path: x.wav}}'.",
        ),
        click.option(
            "-x",
            "expression",
            metavar="EXPRESSION",
            help="A pipeline on one line instead of a file: 'tone ! gain -6 ! blackhole'.",
        ),
        click.argument("files", nargs=-1, type=click.Path(path_type=Path)),
    ):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def plugin_options(command: F) -> F:
    """Add `--plugins-dir`, given as `plugins_dirs`, and `--trust`."""
    trusting = click.option(
        "--trust", is_flag=True, help="Run this folder's plugins to look at it, this once."
    )(command)
    return click.option(
        "--plugins-dir",
        "plugins_dirs",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FOLDER",
        help="Load the plugins in this folder, too.",
    )(trusting)


def json_option(command: F) -> F:
    """Add `--json`, given as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: Any) -> None:
    """Print what `--json` asks for."""
    click.echo(printable(json.dumps(value, indent=2, ensure_ascii=False)))


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables of a file of KEY=VALUE lines; `#` begins a comment line.

    Raises:
        ConfigError: The file cannot be read, or a line is no assignment.
    """
    from rtpipe.language.files import decode, read_bytes

    findings = Findings()
    data = read_bytes(path, findings, "E311")
    text = None if data is None else decode(data, path, findings)
    variables: dict[str, str] = {}
    for number, line in enumerate((text or "").splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ASSIGNMENT.fullmatch(line)
        if found is None or "\x00" in line:  # the line is not quoted: it may hold a key
            findings.error(
                "E311",
                f"line {number} of {path} is not NAME=value",
                Span(path, number, 1),
                help="write one `NAME=value` on a line",
            )
            continue
        value = found.group(2).strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        variables[found.group(1)] = value
    if findings.failed:
        raise ConfigError(findings.errors())
    return variables
