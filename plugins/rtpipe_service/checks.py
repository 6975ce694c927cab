"""What a service needs of its machine, looked at one by one; nothing is changed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtpipe import Finding
from rtpipe.clock import wall_clock_problem
from rtpipe_service.trial import GOOD, Files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe_service.unit import Service

_LITTLE_BYTES = 1_000_000_000
_SND = Path("/dev/snd")
_LINGER = Path("/var/lib/systemd/linger")


def look(service: Service, unit: Path | None) -> Iterator[Finding]:
    """Yield what there is and what is lacking.

    Args:
        service: Whose surroundings.
        unit: Its unit file; None where it is not installed.
    """
    yield _unit(service, unit)
    who = Who.of(service)
    for path in service.files:
        yield who.reading(path, "file")
    for name, path in service.credentials.items():
        yield _credential(name, path, who, ours=not service.user)
    if service.has_sound:
        yield _devices(who, service)
        yield _linger(who)
        yield _sound_server(who)
    for folder in dict.fromkeys((service.files[0].parent, Path("/var/lib"))):
        yield _disk(folder)
    problem = wall_clock_problem()
    yield Finding(
        "missing" if problem else "ok",
        problem or "is set",
        name="clock",
        help="sudo timedatectl set-ntp true; files get a name without a date meanwhile"
        if problem
        else None,
    )
    yield _rollback(service, who)


@dataclass(frozen=True, slots=True)
class Who:
    """The user that a service runs as: name, number, and the numbers of the groups."""

    name: str
    uid: int
    groups: frozenset[int]

    @classmethod
    def of(cls, service: Service) -> Who:
        """Return the user of a service."""
        entry = pwd.getpwuid(service.uid if service.user else os.getuid())
        groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return cls(entry.pw_name, entry.pw_uid, groups)

    def may(self, path: Path, bit: int) -> bool:
        """Return whether this user may read (4), write (2) or enter (1), by the mode alone."""
        if self.uid == 0:
            return True
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode >> 6 & bit)
        return bool(status.st_mode >> (3 if status.st_gid in self.groups else 0) & bit)

    def reading(self, path: Path, name: str) -> Finding:
        """Look whether this user may read a file."""
        try:
            closed = [each for each in reversed(path.parents) if not self.may(each, 1)]
            if not closed and self.may(path, 4):
                return Finding("ok", f"{self.name} may read {path}", name=name)
        except OSError as error:
            return Finding("wrong", f"{path}: {error.strerror}", name=name)
        at = closed[0] if closed else path
        rights = "a+x" if closed else "a+r"
        return Finding(
            "wrong", f"{self.name} may not read {path}", name=name, help=f"sudo chmod {rights} {at}"
        )


def _unit(service: Service, unit: Path | None) -> Finding:
    if unit is None or not unit.is_file():
        help = f"rtpipe service install {service.files[0]}"
        return Finding("missing", "is not installed", name="unit", help=help)
    program = shutil.which("systemd-analyze")
    if program is None:
        text = f"{unit} is there; systemd-analyze is not, which verifies it"
        return Finding("unknown", text, name="unit", help="apt-get install systemd")
    ran = subprocess.run(  # noqa: S603
        [program, "verify", "--man=no", *(() if service.user else ("--user",)), f"{unit}"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line for line in ran.stderr.splitlines() if unit.name in line]
    if ran.returncode or said:
        return Finding("wrong", "; ".join(said) or ran.stderr.strip(), name="unit")
    return Finding("ok", f"{unit} is one that systemd takes", name="unit")


def _credential(name: str, path: Path, who: Who, *, ours: bool) -> Finding:
    title = f"credential {name}"
    help = f"sudo install -m 600 /dev/stdin {path}, then paste the key and press Ctrl-D"
    try:
        status = path.stat()
    except PermissionError:
        text = f"{path} cannot be looked at by {who.name}"
        return Finding("unknown", text, name=title, help="call it with sudo")
    except OSError as error:
        return Finding("missing", f"{path}: {error.strerror}", name=title, help=help)
    if not status.st_size:
        return Finding("wrong", f"{path} is empty", name=title, help=help)
    if stat.S_IMODE(status.st_mode) & 0o077:
        text = f"{path} is open to others"
        return Finding("wrong", text, name=title, help=f"chmod 600 {path}")
    if ours and status.st_uid != who.uid:
        return Finding("wrong", f"{path} is not {who.name}'s", name=title)
    return Finding("ok", f"{path}", name=title)


def _devices(who: Who, service: Service) -> Finding:
    devices = sorted(_SND.glob("pcm*"))
    if not devices:
        return Finding("missing", "there is no sound card", name="devices")
    closed = [path for path in devices if not who.may(path, 4)]
    if closed and "audio" not in service.groups:
        help = f"sudo usermod --append --groups audio {who.name}"
        return Finding("wrong", f"{who.name} may not open {closed[0]}", name="devices", help=help)
    return Finding("ok", f"{len(devices)} of sound cards", name="devices")


def _linger(who: Who) -> Finding:
    """Whether the user's manager, and with it the sound server, runs with nobody logged in."""
    if (_LINGER / who.name).exists():
        return Finding("ok", f"{who.name}'s sound server starts with the machine", name="linger")
    return Finding(
        "missing",
        f"{who.name}'s sound server runs only while {who.name} is logged in",
        name="linger",
        help=f"sudo loginctl enable-linger {who.name}",
    )


def _sound_server(who: Who) -> Finding:
    folder = Path(f"/run/user/{who.uid}")
    tried = (folder / "pulse/native", folder / "pipewire-0")
    for path in tried:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.settimeout(1.0)
            try:
                caller.connect(f"{path}")
            except OSError:
                continue
            return Finding("ok", f"answers at {path}", name="sound server")
    return Finding(
        "missing",
        f"none of {who.name}'s answers at {tried[0]} or {tried[1].name}",
        name="sound server",
        help="sudo apt-get install pipewire-pulse wireplumber, enable-linger as above; "
        "without one, name a device of ALSA (`rtpipe devices`)",
    )


def _disk(folder: Path) -> Finding:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding("unknown", f"{folder}: {error.strerror}", name="disk")
    text = f"{free / 1e9:.1f} GB are free at {folder}"
    return Finding("ok" if free >= _LITTLE_BYTES else "missing", text, name="disk")


def state_folder(service: Service) -> Path:
    """Return what is `$STATE_DIRECTORY` in a service."""
    if service.user:
        return Path("/var/lib/rtpipe") / service.name
    usual = Path.home() / ".local/state/rtpipe" / service.name
    older = Path.home() / ".config/rtpipe" / service.name  # systemd before 254
    return older if older.is_dir() else usual


def _rollback(service: Service, who: Who) -> Finding:
    files = Files(service.files, state_folder(service))
    if why := files.refused:
        name = service.files[0].name
        text = f"the new {name} {why}; {name}{GOOD} runs in its place"
        return Finding("wrong", text, name="rollback", help=f"mend {service.files[0]}")
    if files.has_good:
        return Finding("ok", f"the last good files end in {GOOD}", name="rollback")
    try:
        closed = [file.parent for file in service.files if not who.may(file.parent, 2)]
    except OSError:
        closed = []
    if closed:
        return Finding(
            "missing",
            f"{who.name} may keep no copy in {closed[0]}: a bad change cannot be rolled back",
            name="rollback",
            help="make the folder theirs, or renew with `sudo rtpipe service update`",
        )
    return Finding("ok", "a copy is kept at the first start", name="rollback")
