"""A service manager as a service sees it: a real datagram socket that takes notifications."""

from __future__ import annotations

import socket
import time


class Manager:
    """What a service was told to tell, in order."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, **more}

    def wait_for(self, key: str, value: str = "", timeout: float = 60) -> dict[str, str]:
        """Return the next notification with `key` whose value holds `value`."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                datagram = self._socket.recv(65_536)
            except TimeoutError:
                break
            told = dict(line.split("=", 1) for line in datagram.decode().split("\n"))
            self.told.append(told)
            if value in told.get(key, "\0") and key in told:
                return told
        raise AssertionError(f"no {key}={value} within {timeout} s: {self.told[-20:]}")

    def is_quiet_for(self, key: str, seconds: float) -> bool:
        """Return whether none with `key` comes for so long; what else does is kept."""
        try:
            self.wait_for(key, timeout=seconds)
        except AssertionError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()
