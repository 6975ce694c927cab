"""Receivers of events that refuse, hang, close or talk nonsense."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

_SAYS = {
    "talks nonsense": b"\xff\x00\x16HTTP/9.9 abc\r\n\r\n",
    "says 413": b"HTTP/1.1 413 no\r\nContent-Length: 0\r\n\r\n",
}
BEHAVIOURS = ("refuses", "hangs", "closes", *_SAYS)


class Receiver:
    """One on a port of its own, in a thread.

    Args:
        behaviour: One of `BEHAVIOURS`.
    """

    def __init__(self, behaviour: str) -> None:
        self._behaviour = behaviour
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def begin(self) -> Callable[[], object]:
        """Begin; returns what ends it."""
        if self._behaviour == "refuses":
            self._listener.close()
            return lambda: None
        self._listener.listen()
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()

        def end() -> None:
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            thread.join(2)

        return end

    def _serve(self) -> None:
        held = []
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the end
                break
            if self._behaviour == "closes":
                connection.close()
                continue
            held.append(connection)
            connection.sendall(_SAYS.get(self._behaviour, b""))
        for connection in held:
            connection.close()
