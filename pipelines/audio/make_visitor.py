"""Make visitor.wav, the visitor who talks to the kiosk where there is no microphone.

    pip install 'rtpipe-media[speech]'
    python pipelines/audio/make_visitor.py

It prints where in the file each question stands.
"""

import asyncio
import wave
from pathlib import Path

import numpy as np

from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.speech import SpeechBrain

# A comma, because after "Hello!" the voice rests long enough for the desk to answer the greeting.
QUESTIONS = ("Hello, what are your opening hours today?", "And where is the café, please?")
VOICE = "cedar"  # deeper than the desk's
RATE = 48_000
LEVEL = 10 ** (-9 / 20)  # the synthesiser peaks at -3 dBFS, a visitor at a microphone near -12
LEAD_S = 0.5
# The desk answers about 1.7 s after a question's end and speaks for up to 6 s; the gate then
# stays closed for a moment. The next question has to wait for all of it.
PAUSE_S = 10.0
TAIL_S = 1.5  # so that the far end's voice activity detection hears the last question end


async def main() -> None:
    """Speak the questions and write the file."""
    visitor = SpeechBrain(load_desk())
    parts = [_silence(LEAD_S)]
    for question, gap_s in zip(QUESTIONS, (PAUSE_S, TAIL_S), strict=True):
        spoken = await visitor.speak(question, VOICE)
        start_s = sum(map(len, parts)) / RATE
        print(f"{start_s:6.2f} .. {start_s + len(spoken.pcm) / RATE:6.2f} s  {question}")
        parts += [np.rint(spoken.pcm * LEVEL).astype("<i2"), _silence(gap_s)]
    await visitor.close()
    with wave.open(str(Path(__file__).with_name("visitor.wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.concatenate(parts).tobytes())


def _silence(duration_s: float) -> np.ndarray:
    return np.zeros(round(duration_s * RATE), "<i2")


if __name__ == "__main__":
    asyncio.run(main())
