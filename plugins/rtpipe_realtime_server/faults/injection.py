"""Makes the faults of a server and of its calls out of one description and one seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from rtpipe_realtime_server.faults.events import EventFaults
from rtpipe_realtime_server.faults.http import HttpFaults
from rtpipe_realtime_server.faults.knobs import Faults
from rtpipe_realtime_server.faults.network import FaultyNetwork, PacketFaults
from rtpipe_realtime_server.session.ids import random_id

MOST_BYTES = 262_144
"""What a data channel of aiortc's or a browser's takes in one message."""


@dataclass(frozen=True, slots=True)
class CallFaults:
    """What goes wrong in one call."""

    knobs: Faults
    events: EventFaults
    network: FaultyNetwork


class Injector:
    """The faults of one server.

    Args:
        faults: What goes wrong.
        seed: Decides what is left to chance: with the same seed the n-th call has the same luck.
    """

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self.http = HttpFaults(faults)
        self._seed = seed
        self._calls = 0

    def for_call(self, *, most_bytes: int | None = MOST_BYTES) -> CallFaults:
        """Return what goes wrong in the next call.

        Args:
            most_bytes: The longest message that its events may be; None on a WebSocket.
        """
        self._calls += 1
        most = self._faults.first_calls
        faults = self._faults if most is None or self._calls <= most else Faults()
        # Apart, because packets and events do not mingle in the same order each time.
        events, packets = (
            Random(f"{self._seed}/{self._calls}/{what}")  # noqa: S311 - to be repeated, not secret
            for what in ("events", "packets")
        )
        return CallFaults(
            knobs=faults,
            events=EventFaults(faults, events, random_id, most_bytes=most_bytes),
            network=FaultyNetwork(PacketFaults(faults, packets)),
        )
