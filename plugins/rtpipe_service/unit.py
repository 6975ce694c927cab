"""The unit file of a pipeline: what systemd is to start, watch and start again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rtpipe_service import restarts
from rtpipe_service.escaping import argument, program, rest_of_line, word

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WATCHDOG_S = 30
"""A loop that is held for so long is held for good."""
START_S = 90
STOP_S = 20

_HARDENED = (
    # PrivateDevices= and ProtectClock= would hide the sound card, MemoryDenyWriteExecute= breaks
    # numerical libraries, RestrictRealtime= what keeps sound from stuttering.
    "PrivateTmp=yes",
    "ProtectSystem=full",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "RestrictNamespaces=yes",
    "CapabilityBoundingSet=",
    "LimitRTPRIO=95",
    "LimitMEMLOCK=64M",
)
"""Of a system's unit; a user's manager may not grant them."""


@dataclass(frozen=True, slots=True)
class Service:
    """A pipeline as a service.

    Attributes:
        name: Of the unit, without `.service`.
        files: The pipeline file and its overlays, absolute.
        command: What is started, an absolute path first; the files follow.
        user: Whose it is; "" for a unit of the user's own manager.
        uid: That user's number.
        description: What it is, for people.
        groups: Further groups: `audio`.
        credentials: The file of each credential, by name.
        environment: Variables.
        environment_file: A file of `NAME=value` lines with what must not stand in a unit.
        has_sound: Whether it needs the sound server of that user.
    """

    name: str
    files: tuple[Path, ...]
    command: tuple[str, ...]
    user: str = ""
    uid: int = 0
    description: str = ""
    groups: tuple[str, ...] = ()
    credentials: Mapping[str, Path] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_file: Path | None = None
    has_sound: bool = False

    def unit(self) -> str:
        """Return the text of its unit file.

        Raises:
            StageError: A path cannot be written in one.
        """
        return "\n".join((*self._unit(), "", *self._service(), "", *self._install(), ""))

    def _unit(self) -> Iterator[str]:
        yield "# Written by `rtpipe service install`. Changes of yours: `systemctl edit`."
        yield "[Unit]"
        yield f"Description={rest_of_line(' '.join((self.description or self.name).split()))}"
        if self.user:
            yield "Wants=network-online.target"
            yield "After=network-online.target sound.target"
            if self.has_sound:
                yield f"Wants=user@{self.uid}.service"
                yield f"After=user@{self.uid}.service"
        yield "# What is outside may be missing for days: it is tried again for as long."
        yield "StartLimitIntervalSec=0"

    def _service(self) -> Iterator[str]:
        yield "[Service]"
        yield "Type=notify"
        if self.user:
            yield f"User={self.user}"
        if self.groups:
            yield f"SupplementaryGroups={' '.join(self.groups)}"
        yield f"WorkingDirectory={rest_of_line(f'{self.files[0].parent}')}"
        first, *arguments = self.command
        words = [program(first), *map(argument, (*arguments, *map(str, self.files)))]
        yield f"ExecStart={' '.join(words)}"
        yield "ExecReload=/bin/kill -HUP $MAINPID"
        yield "# Fed by the event loop: one that is frozen for so long is started again."
        yield f"WatchdogSec={WATCHDOG_S}"
        yield f"TimeoutStartSec={START_S}"
        yield f"TimeoutStopSec={STOP_S}"
        yield "# The pipeline is asked to end, and ends its children itself."
        yield "KillMode=mixed"
        yield "# See docs/reference/exit-codes.md: these are mistakes that somebody must mend."
        yield "Restart=on-failure"
        yield "RestartSec=5"
        yield f"RestartPreventExitStatus={' '.join(f'{int(code)}' for code in restarts.FINAL)}"
        yield "# What is said in front of the kiosk is nothing for the journal."
        yield "StandardOutput=null"
        yield from self._surroundings()
        yield "NoNewPrivileges=yes"
        yield "LockPersonality=yes"
        yield "RestrictSUIDSGID=yes"
        yield "SystemCallArchitectures=native"
        if self.user:
            yield from _HARDENED

    def _surroundings(self) -> Iterator[str]:
        for name, path in self.credentials.items():
            yield f"LoadCredential={name}:{rest_of_line(f'{path}')}"
        if self.environment_file is not None:
            yield f"EnvironmentFile={rest_of_line(f'{self.environment_file}')}"
        yield "# `rtpipe ps` finds it here, and its recordings may go to $STATE_DIRECTORY."
        yield "RuntimeDirectory=rtpipe"
        yield "RuntimeDirectoryMode=0700"
        yield "RuntimeDirectoryPreserve=yes"
        yield f"StateDirectory=rtpipe/{self.name}"
        yield "StateDirectoryMode=0750"
        yield "UMask=0027"
        own = {"XDG_RUNTIME_DIR": "/run"} if self.user else {}
        if self.user and self.has_sound:
            runtime = f"/run/user/{self.uid}"
            own["PULSE_SERVER"] = f"unix:{runtime}/pulse/native"
            own["PIPEWIRE_RUNTIME_DIR"] = runtime
        for name, value in {**own, **self.environment}.items():
            yield f"Environment={word(f'{name}={value}')}"

    def _install(self) -> Iterator[str]:
        yield "[Install]"
        yield f"WantedBy={'multi-user.target' if self.user else 'default.target'}"
