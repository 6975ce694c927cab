"""Events that are delivered, the pauses after which it is tried again, and what came of them."""

from typing import Any

from rtpipe import Event
from rtpipe_plugins.peers.realtime.events import UserTranscript

STARTED = Event(type="vad.speech_started", source="vad", at=1.25)
QUICK = {"initial_s": 0.02, "max_s": 0.1}


def said(number: int) -> UserTranscript:
    return UserTranscript(text=f"{number}", item_id="i", source="realtime", at=float(number))


def numbers(bodies: list[dict[str, Any]]) -> list[int]:
    return [int(body["text"]) for body in bodies if body["type"] == "transcript.user"]
