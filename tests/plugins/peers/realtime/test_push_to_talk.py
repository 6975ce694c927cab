"""Push-to-talk: a key begins and ends the visitor's turn."""

from __future__ import annotations

import json
import logging
from typing import Any

from rtpipe_plugins.peers.realtime.dialects.conversation import Command, Interrupted
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol

LOG = logging.getLogger("rtpipe.stage.realtime")
MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": None}}}


class Talk:
    """A protocol in a session without turn detection, and all that it has put out."""

    def __init__(self) -> None:
        self.protocol = RealtimeProtocol(MANUAL, given=lambda: True, mask=str, log=LOG)
        self.outputs: list[Any] = self.protocol.give_up_waiting()

    def press(self) -> None:
        self.outputs += self.protocol.press()

    def release(self) -> None:
        self.outputs += self.protocol.release()

    def hear(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.outputs += self.protocol.receive(json.dumps(event))

    def commands(self) -> list[dict[str, Any]]:
        return [dict(output.data) for output in self.outputs if isinstance(output, Command)]

    def sent(self) -> list[str]:
        return [command["type"] for command in self.commands()]


def committed(item_id: str) -> dict[str, Any]:
    return {"type": "input_audio_buffer.committed", "item_id": item_id}


def test_a_key_clears_commits_and_asks() -> None:
    talk = Talk()
    talk.press()
    assert talk.sent() == ["input_audio_buffer.clear"]
    talk.release()
    assert talk.sent()[1:] == ["input_audio_buffer.commit"]
    assert not talk.protocol.idle
    talk.hear(committed("u"))
    assert talk.sent()[2:] == ["response.create"]


def test_too_short_a_press_is_harmless_and_asks_for_nothing() -> None:
    """The server's word for it is an error: less than 100 ms of audio."""
    talk = Talk()
    talk.press()
    talk.release()
    cause = talk.commands()[-1]["event_id"]
    short = {"code": "input_audio_buffer_commit_empty", "message": "", "event_id": cause}
    talk.hear({"type": "error", "error": short})
    assert "response.create" not in talk.sent()
    assert talk.protocol.idle
    talk.press()
    talk.release()
    talk.hear(committed("u"))
    assert talk.sent().count("response.create") == 1


def test_a_release_without_a_press_is_nothing() -> None:
    """A mute gate says how it stands when it begins: closed."""
    talk = Talk()
    talk.release()
    assert talk.sent() == []


def test_a_commit_of_ones_own_asks_for_nothing() -> None:
    talk = Talk()
    talk.outputs += talk.protocol.commit()
    talk.press()
    talk.release()
    talk.hear(committed("u"))
    assert "response.create" not in talk.sent()
    talk.hear(committed("v"))
    assert talk.sent().count("response.create") == 1


def test_a_key_silences_the_model() -> None:
    talk = Talk()
    talk.hear(
        {"type": "response.created", "response": {"id": "a"}},
        {"type": "output_audio_buffer.started", "response_id": "a"},
    )
    talk.press()
    assert talk.sent() == [
        "response.cancel",
        "output_audio_buffer.clear",
        "input_audio_buffer.clear",
    ]
    assert any(isinstance(output, Interrupted) for output in talk.outputs)
    talk.release()
    talk.hear(committed("u"))
    assert "response.create" not in talk.sent()  # the cancelled one still takes the place
    talk.hear({"type": "response.done", "response": {"id": "a", "status": "cancelled"}})
    assert talk.sent()[-1] == "response.create"
