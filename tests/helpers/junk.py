"""Junk for the UDP sockets of a process, as any stranger can send it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

JUNK = (
    b"",
    b"\x80",
    b"\x80\x6f" + bytes(3000),
    b"\x80\xc8" + bytes(30_000),
    b"\x17\xfe\xfd" + bytes(8) + b"\x01\x00" + b"x",
    b"\x15\xfe\xfd" + bytes(8) + b"\x00\x02\x02\x28",
    b"GET / HTTP/1.1\r\n\r\n",
    b"\x00\x01\x00\x04\x21\x12\xa4\x42" + bytes(12) + b"\x00\x24\x00\x01",
)


def udp_sockets(pid: int | None = None) -> list[tuple[str, int]]:
    """Return where the IPv4 sockets of a process are bound; of this one by default."""
    folder = Path(f"/proc/{pid or os.getpid()}")
    held = set()
    for descriptor in (folder / "fd").iterdir():
        try:
            held.add(str(descriptor.readlink()))
        except OSError:  # closed meanwhile
            continue
    found = []
    for line in (folder / "net/udp").read_text().splitlines()[1:]:
        fields = line.split()
        if f"socket:[{fields[9]}]" in held:
            address, port = fields[1].split(":")
            host = socket.inet_ntoa(bytes.fromhex(address)[::-1])
            found.append((host, int(port, 16)))
    return found


def send_junk(addresses: list[tuple[str, int]]) -> None:
    """Send one of each kind to each address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for address in addresses:
            for datagram in JUNK:
                sock.sendto(datagram, address)
