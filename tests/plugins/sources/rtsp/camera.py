"""As much of an RTSP camera as a client of its audio meets: µ-law over TCP, and when it comes."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from plugins.sources.rtsp.serving import Conversation

AUDIO = "m=audio 0 RTP/AVP 0\na=rtpmap:0 PCMU/8000/1\na=control:audio\n"
VIDEO = "m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=control:video\n"
_PACKET_S = 0.02


@dataclass
class Camera:
    """What a camera does, by the clock of a connection.

    Attributes:
        media: Its streams, as SDP.
        answers_after_s: How long it thinks before it describes itself.
        audio: When audio is sent (s after PLAY); its RTCP reports always are.
        seconds: When it hangs up (s after PLAY).
        hangs_up: It does so at once, whatever it is doing.
        asked: What it was asked for.
    """

    media: Sequence[str] = (VIDEO, AUDIO)
    answers_after_s: float = 0.0
    audio: Callable[[float], bool] = lambda _: True
    seconds: float = 60.0
    hangs_up: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def conversation(self) -> Conversation:
        return lambda connection, _: self._talk(connection)

    def _talk(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        channels: dict[str, int] = {}
        while head := _head(connection):
            method, url = head.split()[:2]
            self.asked.append(f"{method} {url.rpartition('/')[2]}")
            more, body = "", ""
            if method == "DESCRIBE":
                if self.hangs_up.wait(self.answers_after_s):
                    return
                body = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nt=0 0\n" + "".join(self.media)
                more = "Content-Type: application/sdp\r\n"
            elif method == "SETUP":
                first = 2 * len(channels)
                channels[url.rpartition("/")[2]] = first
                more = f"Transport: RTP/AVP/TCP;unicast;interleaved={first}-{first + 1}\r\n"
            number = next(line for line in head.splitlines() if line.startswith("CSeq"))
            good = method != "PLAY" or channels
            status = "200 OK" if good else "455 Method Not Valid in This State"
            connection.sendall(
                f"RTSP/1.0 {status}\r\n{number}\r\nSession: 1\r\n{more}"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            if method == "PLAY" and good:
                self._play(connection, channels)
                return

    def _play(self, connection: socket.socket, channels: dict[str, int]) -> None:
        began = time.monotonic()
        for n in range(round(self.seconds / _PACKET_S)):
            if self.hangs_up.wait(max(began + n * _PACKET_S - time.monotonic(), 0)):
                return
            stamp = (n * 160).to_bytes(4)
            for channel in channels.values():
                report = b"\x80\xc8\x00\x06rtpi" + bytes(8) + stamp + bytes(8)
                connection.sendall(_interleaved(channel + 1, report))
            if "audio" in channels and self.audio(n * _PACKET_S):
                packet = b"\x80\x00" + n.to_bytes(2) + stamp + b"rtpi" + b"\x10\x90" * 80
                connection.sendall(_interleaved(channels["audio"], packet))


def _head(connection: socket.socket) -> str:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = connection.recv(1)
        if not part:
            return ""
        head += part
    return head.decode()


def _interleaved(channel: int, packet: bytes) -> bytes:
    return b"$" + bytes([channel]) + len(packet).to_bytes(2) + packet
