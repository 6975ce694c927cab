"""A server of encoded audio that says what a test wants, and how fast."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from rtpipe.testing import tone


def encoded(path: Path, seconds: float, frequency: float = 1000, *, rate: int = 48_000) -> Path:
    with av.open(str(path), "w") as container:
        codec = {".wav": "pcm_s16le", ".aac": "aac", ".mp3": "libmp3lame"}[path.suffix]
        stream = container.add_stream(codec, rate=rate, layout="mono")
        for frame in tone(frequency, seconds=seconds, sample_rate=rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


Conversation = Callable[[socket.socket, int], None]


@contextmanager
def served(talk: Conversation) -> Iterator[int]:
    """Serve on a port; `talk` gets each connection and its number."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(10)

    def run() -> None:
        for number in range(1000):
            try:
                connection, _ = server.accept()
                with connection:
                    talk(connection, number)
            except OSError:
                if server.fileno() < 0:
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(timeout=20)


def sent_in_time(connection: socket.socket, path: Path, seconds: float, *, burst_s: float) -> None:
    """Send a file as fast as it plays, `burst_s` of it at once."""
    content = path.read_bytes()
    began = time.monotonic()
    sent = 0
    while sent < len(content):
        due = round(len(content) * (time.monotonic() - began + burst_s) / seconds)
        connection.sendall(content[sent:due])
        sent = max(sent, due)
        time.sleep(0.01)


def sent_as_a_file(content: bytes) -> Conversation:
    """Answer as a web server does, all at once."""

    def talk(connection: socket.socket, _: int) -> None:
        connection.recv(4096)
        head = f"HTTP/1.0 200 OK\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)

    return talk
