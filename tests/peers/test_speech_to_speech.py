"""Our client against Hugging Face's speech-to-speech, over both transports and with every key.

Its ears, brain and voice are the embedded server's, its turn detector is Silero's; signalling,
WebRTC, sessions and events are its own. It takes no multipart, sends no `output_audio_buffer.*`,
has one session to give, and is stopped for 8 s in each conversation: by itself it stands still as
long on a machine that is too small for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from helpers.listening import require_speech, words
from peers.conftest import asked
from peers.judges.foreign_server import SpeechToSpeech, speech_to_speech
from peers.judges.kiosk import calling
from peers.judges.recognised import assert_heard, plain

pytestmark = [pytest.mark.judges, pytest.mark.asyncio(loop_scope="module")]

FROZEN_S = 8.0
ANSWER_OVER_WITHIN_S = 0.5
HEARD_THROUGH_A_STOP = 0.5  # its sockets hold but some seconds of what the visitor says meanwhile
HOURS, CAFE = asked((0.4, 3.6)), asked((12.7, 14.8))
KEYS = {"sk": "sk-anything", "ek": "ek_anything", "none": None}


@pytest.fixture(autouse=True)
def no_key_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SpeechToSpeech]:
    require_speech()
    async with speech_to_speech(tmp_path_factory.mktemp("speech-to-speech")) as running:
        yield running


FROZEN = {
    "before_the_question": None,
    "while_the_visitor_speaks": "turn.user_started",
    "while_it_thinks": "turn.user_stopped",
    "while_it_answers": "turn.answer_started",
    "after_the_answer": "transcript.assistant",
}
"""What has just happened when the server stands still, in the first of two turns."""


@pytest.mark.parametrize("moment", FROZEN, ids=lambda moment: f"frozen_{moment}")
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_a_conversation(
    transport: str, key: str, moment: str, server: SpeechToSpeech
) -> None:
    options = {"base_url": server.base_url, "transport": transport}
    if KEYS[key]:
        options["api_key"] = KEYS[key]
    async with calling(**options) as kiosk:
        if (before := FROZEN[moment]) is None:
            await server.stand_still(FROZEN_S)
        kiosk.ask(HOURS)
        if before is not None:
            await kiosk.until(before)
            await server.stand_still(FROZEN_S)
        await kiosk.until("transcript.assistant")
        first_sound = kiosk.take_heard()
        kiosk.ask(CAFE)
        await kiosk.until("transcript.assistant", 2)
        second_sound = kiosk.take_heard()
    await server.released()
    first, second = kiosk.said("assistant")
    later = words(second_sound)
    # Where nothing tells what was played, 8 s of silence are an end: what comes then comes later.
    rest = later if moment == "while_it_answers" else []
    assert_heard([*words(first_sound), *rest], first)
    assert_heard(later, second)
    hours, cafe = map(plain, kiosk.said("user"))
    assert_heard(hours, "Hello, what are your opening hours today?", enough=HEARD_THROUGH_A_STOP)
    assert_heard(cafe, "And where is the café, please?")
    assert kiosk.count("realtime.reconnecting") == 0, kiosk.story()
    late_s = max(kiosk.answer_over_after_s)
    assert late_s <= ANSWER_OVER_WITHIN_S, f"an answer was over {late_s:.2f} s after its last sound"
