"""Our client against Hugging Face's speech-to-speech, over both transports and with every key.

Its ears, brain and voice are the embedded server's, its turn detector is Silero's; signalling,
WebRTC, sessions and events are its own. It takes no multipart, sends no `output_audio_buffer.*`,
has one session to give, and is stopped for 8 s in each conversation: by itself it stands still as
long on a machine that is too small for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray

from helpers.listening import require_speech, words
from peers.conftest import asked
from peers.judges.foreign_server import SpeechToSpeech, speech_to_speech
from peers.judges.kiosk import Kiosk, calling
from peers.judges.recognised import assert_heard, plain

pytestmark = [pytest.mark.judges, pytest.mark.asyncio(loop_scope="module")]

FROZEN_S = 8.0
ANSWER_OVER_WITHIN_S = 0.5
HEARD_THROUGH_A_STOP = 0.5  # its sockets hold but some seconds of what the visitor says meanwhile
HOURS, CAFE = asked((0.4, 3.6)), asked((12.7, 14.8))
Moment = Callable[[Kiosk, SpeechToSpeech], Awaitable[None]]
KEYS = {"sk": "sk-anything", "ek": "ek_anything", "none": None}


@pytest.fixture(autouse=True)
def no_key_but_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SpeechToSpeech]:
    require_speech()
    async with speech_to_speech(tmp_path_factory.mktemp("speech-to-speech")) as running:
        yield running


async def turn(kiosk: Kiosk, question: NDArray[np.int16], number: int) -> None:
    kiosk.ask(question)
    await kiosk.until("transcript.assistant", number)


async def frozen_before_the_question(kiosk: Kiosk, server: SpeechToSpeech) -> None:
    async with server.frozen(FROZEN_S):
        pass
    await turn(kiosk, HOURS, 1)


async def frozen_while_the_visitor_speaks(kiosk: Kiosk, server: SpeechToSpeech) -> None:
    kiosk.ask(HOURS)
    await kiosk.until("turn.user_started")
    async with server.frozen(FROZEN_S):
        pass
    await kiosk.until("transcript.assistant")


async def frozen_while_it_thinks(kiosk: Kiosk, server: SpeechToSpeech) -> None:
    kiosk.ask(HOURS)
    await kiosk.until("turn.user_stopped")
    async with server.frozen(FROZEN_S):
        pass
    await kiosk.until("transcript.assistant")


async def frozen_while_it_answers(kiosk: Kiosk, server: SpeechToSpeech) -> None:
    kiosk.ask(HOURS)
    await kiosk.until("turn.answer_started")
    async with server.frozen(FROZEN_S):
        pass
    await kiosk.until("transcript.assistant")


async def frozen_after_the_answer(kiosk: Kiosk, server: SpeechToSpeech) -> None:
    await turn(kiosk, HOURS, 1)
    async with server.frozen(FROZEN_S):
        pass


MOMENTS = (
    frozen_before_the_question,
    frozen_while_the_visitor_speaks,
    frozen_while_it_thinks,
    frozen_while_it_answers,
    frozen_after_the_answer,
)


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.__name__)
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("transport", ["webrtc", "websocket"])
async def test_a_conversation(
    transport: str, key: str, moment: Moment, server: SpeechToSpeech
) -> None:
    options = {"base_url": server.base_url, "transport": transport}
    if KEYS[key]:
        options["api_key"] = KEYS[key]
    async with calling(**options) as kiosk:
        await moment(kiosk, server)
        first_sound = kiosk.take_heard()
        await turn(kiosk, CAFE, 2)
        second_sound = kiosk.take_heard()
    await server.released()
    first, second = kiosk.said("assistant")
    later = words(second_sound)
    # Where nothing tells what was played, 8 s of silence are an end: what comes then comes later.
    rest = later if moment is frozen_while_it_answers else []
    assert_heard([*words(first_sound), *rest], first)
    assert_heard(later, second)
    hours, cafe = map(plain, kiosk.said("user"))
    assert_heard(hours, "Hello, what are your opening hours today?", enough=HEARD_THROUGH_A_STOP)
    assert_heard(cafe, "And where is the café, please?")
    assert kiosk.count("realtime.reconnecting") == 0, kiosk.story()
    late_s = max(kiosk.answer_over_after_s)
    assert late_s <= ANSWER_OVER_WITHIN_S, f"an answer was over {late_s:.2f} s after its last sound"
