"""The schemas of `@openai/agents-realtime`, in Node, over every event that a call can receive."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from peers.conversation import converse
from peers.javascript import node, packages
from peers.mutations import EVENTS, break_events

pytestmark = pytest.mark.slow

UNKNOWN_TO_THEM = {
    "conversation.item.input_audio_transcription.failed",  # wants text where traffic has null
    "input_audio_buffer.timeout_triggered",  # not in their union
}
BY_ZOD = [
    "no response_id",
    "no event_id",
    "no item",
    "a number is text",
    "beta names",
]


def refused(conversations: list[list[dict[str, Any]]]) -> list[list[str]]:
    run = subprocess.run(
        [node(), Path(__file__).with_name("zod_judge.mjs"), packages()],
        input=json.dumps(conversations),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answer: list[list[str]] = json.loads(run.stdout)
    return answer


def test_the_schemas_take_every_event_and_notice_broken_ones() -> None:
    conversations = [converse()]
    for name in BY_ZOD:
        with pytest.MonkeyPatch.context() as patch:
            break_events(patch, EVENTS[name]())
            conversations.append(converse())
    unbroken, *broken = refused(conversations)
    assert set(unbroken) == UNKNOWN_TO_THEM
    unnoticed = [
        name for name, kinds in zip(BY_ZOD, broken, strict=True) if not set(kinds) - UNKNOWN_TO_THEM
    ]
    assert unnoticed == []
