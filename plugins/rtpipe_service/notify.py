"""sd_notify: what a service tells its manager, a datagram each (see sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Sends notifications; one that cannot be sent is lost, and nobody waits for it.

    Args:
        address: `$NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)  # noqa: FBT003 - its only way

    def send(self, **assignments: object) -> None:
        """Send assignments, `READY=1, STATUS="…"`, in one datagram."""
        self.forward("\n".join(f"{key}={value}" for key, value in assignments.items()).encode())

    def forward(self, datagram: bytes) -> None:
        """Send a datagram as it is."""
        with suppress(OSError):
            self._socket.sendto(datagram, self._address)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


def watchdog_s(environment: Mapping[str, str] = os.environ) -> float | None:
    """Return within how many seconds a sign of life is expected; None: nobody waits for one."""
    usec, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or not int(usec) or (pid and pid != f"{os.getpid()}"):
        return None
    return int(usec) / 1e6
