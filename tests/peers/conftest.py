"""One Chromium for all judges that need a browser, and the questions that it asks."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Browser

from peers.browser import RATE, chromium, wav

_VISITOR = Path(__file__).parents[2] / "pipelines" / "audio" / "visitor.wav"
_HOURS_S, _CAFE_S = (0.4, 3.6), (12.7, 14.8)  # where the visitor's questions stand in the file
_LEAD_S = 2.0  # to connect in, and silence to compare the answer with
_PAUSE_S = 15.0  # for the answer; then the question comes again


def asked(span_s: tuple[float, float]) -> NDArray[np.int16]:
    with wave.open(str(_VISITOR)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    start, end = (round(at_s * RATE) for at_s in span_s)
    return pcm[start:end]


@pytest.fixture(scope="session")
def question() -> NDArray[np.int16]:
    """ "And where is the café, please?"; mono, 48 kHz."""
    return asked(_CAFE_S)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A Chromium whose microphone hears "Hello, what are your opening hours today?"."""
    lead, pause = (np.zeros(round(s * RATE), np.int16) for s in (_LEAD_S, _PAUSE_S))
    microphone = tmp_path_factory.mktemp("microphone") / "question.wav"
    microphone.write_bytes(wav(np.concatenate([lead, asked(_HOURS_S), pause])))
    async with chromium(microphone) as started:
        yield started
