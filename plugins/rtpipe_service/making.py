"""From pipeline files to the service that runs them: what they need, and who they are for."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import EnvironmentProblem, ExitCode, StageError
from rtpipe_service.unit import Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTE = "# rtpipe: "
_CREDENTIAL = re.compile(r"\$\{cred:([A-Za-z0-9_.-]+)\}")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|PASS)$", re.IGNORECASE)
_SYSTEM = Path("/etc/systemd/system")
_SOUND = {"mic", "speaker"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says beside the files.

    Attributes:
        user: For the user's own manager; else for the system's.
        name: Of the unit; "": as the pipeline is called.
        owner: Who it runs as; "": who called sudo, or whose file it is. Of a system's unit.
        env: `NAME=value` each.
        env_file: A file of such lines.
        credentials: `NAME=FILE` each.
        folder: Where the unit is written; None: where systemd looks.
    """

    user: bool = False
    name: str = ""
    owner: str = ""
    env: tuple[str, ...] = ()
    env_file: Path | None = None
    credentials: tuple[str, ...] = ()
    folder: Path | None = None

    def path_of(self, name: str) -> Path:
        """Return where the unit file of a service is."""
        home = os.environ.get("XDG_CONFIG_HOME") or f"{Path.home()}/.config"
        usual = Path(home) / "systemd/user" if self.user else _SYSTEM
        return (self.folder or usual) / f"{name}.service"


def service_of(files: Sequence[Path], asked: Asked) -> Service:
    """Return the service that runs `files`.

    Raises:
        ConfigError: A file is wrong.
        StageError: Something that was asked for cannot be done.
    """
    from rtpipe import load, stages_of

    files = tuple(file.absolute() for file in files)
    environment = dict(_pair(each, "--env") for each in asked.env)
    for name in environment:
        if _SECRET.search(name):
            raise StageError(
                f"{name} would stand in the unit, which everybody may read",
                help="write `${cred:NAME}` into the pipeline file, or give --env-file FILE",
                exit_code=ExitCode.USAGE,
            )
    named = {name: _credential_file(name, user=asked.user) for name in _credentials_in(files)}
    named |= {
        name: Path(path) for name, path in (_pair(c, "--credential") for c in asked.credentials)
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in named:  # their values stay where they are
            Path(folder, name).write_text("***\n")
        at_start = {**os.environ, **_lines(asked.env_file), **environment}
        spec = load(files, env={**at_start, "CREDENTIALS_DIRECTORY": folder}).spec
    owner = _owner(files[0], asked)
    service = Service(
        name=checked_name(asked.name or _reduced(spec.name)),
        files=files,
        command=_command(),
        description=spec.description or spec.name,
        credentials=named,
        environment=environment,
        environment_file=asked.env_file and asked.env_file.absolute(),
        has_sound=any(each.kind in _SOUND for stage in stages_of(spec) for each in stage.chain),
    )
    if asked.user:
        return service
    return replace(service, user=owner.pw_name, uid=owner.pw_uid, groups=_groups())


def noted(service: Service, text: str) -> str:
    """Return a unit's text with a line that `installed` reads."""
    note = {
        "name": service.name,
        "files": [f"{file}" for file in service.files],
        "user": service.user,
        "uid": service.uid,
        "credentials": {name: f"{path}" for name, path in service.credentials.items()},
        "has_sound": service.has_sound,
    }
    return f"{text}\n{NOTE}{json.dumps(note)}\n"


def installed(unit: Path) -> Service:
    """Return the service whose unit file this is.

    Raises:
        EnvironmentProblem: There is none of ours.
    """
    try:
        lines = unit.read_text("utf-8").splitlines()
    except OSError as error:
        raise EnvironmentProblem(
            f"no service {unit.stem}: {unit}: {error.strerror}",
            help="`rtpipe service install FILE` makes one; --user looks at those of your own",
        ) from None
    found = next((line for line in lines if line.startswith(NOTE)), None)
    if found is None:
        raise EnvironmentProblem(f"{unit} was not written by `rtpipe service install`")
    note = json.loads(found.removeprefix(NOTE))
    return Service(
        name=note["name"],
        files=tuple(map(Path, note["files"])),
        command=_command(),
        user=note["user"],
        uid=note["uid"],
        credentials={name: Path(path) for name, path in note["credentials"].items()},
        has_sound=note["has_sound"],
    )


def checked_name(name: str) -> str:
    """Return the name of a unit.

    Raises:
        StageError: It is none.
    """
    if not _NAME.fullmatch(name) or len(name) > 200:
        raise StageError(
            f"{name!r} is no name for a unit",
            help="letters, digits, `_`, `.` and `-`",
            exit_code=ExitCode.USAGE,
        )
    return name


def _reduced(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip("-") or "pipeline"


def _command() -> tuple[str, ...]:
    script = Path(sys.executable).with_name("rtpipe")
    ours = (f"{script}",) if script.is_file() else (sys.executable, "-m", "rtpipe")
    return (*ours, "service", "run", "--")


def _groups() -> tuple[str, ...]:
    try:
        grp.getgrnam("audio")
    except KeyError:  # a group that does not exist keeps a unit from starting
        return ()
    return ("audio",)


def _owner(file: Path, asked: Asked) -> pwd.struct_passwd:
    name = asked.owner or ("" if asked.user else os.environ.get("SUDO_USER", ""))
    try:
        if name:
            return pwd.getpwnam(name)
        return pwd.getpwuid(os.getuid() if asked.user else file.stat().st_uid)
    except KeyError:
        raise EnvironmentProblem(
            f"there is no user {name or file.stat().st_uid}",
            help=f"sudo useradd --system --create-home --groups audio {name or 'kiosk'}",
        ) from None


def _credentials_in(files: Sequence[Path]) -> list[str]:
    found: dict[str, None] = {}
    for file in files:
        if file.is_file():
            found |= dict.fromkeys(_CREDENTIAL.findall(file.read_text("utf-8", "replace")))
    return [*found]


def _credential_file(name: str, *, user: bool) -> Path:
    return (Path.home() / ".config/rtpipe" if user else Path("/etc/rtpipe")) / f"{name}.key"


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name):
        raise StageError(f"{option} takes NAME=…, not {text!r}", exit_code=ExitCode.USAGE)
    return name, value


def _lines(path: Path | None) -> Mapping[str, str]:
    """Return what a file of `NAME=value` lines sets, as far as this user may read it."""
    try:
        text = "" if path is None else path.read_text("utf-8")
    except PermissionError:
        return {}
    except OSError as error:
        raise EnvironmentProblem(f"cannot read {path}: {error.strerror}") from None
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith(("#", ";")))
    return {name.strip(): value.strip().strip("\"'") for name, equals, value in pairs if equals}
