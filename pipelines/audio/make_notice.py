"""Make notice.wav, what visitors hear before anything is recorded.

    pip install 'rtpipe-media[speech]'
    python pipelines/audio/make_notice.py

For your own words: change `TEXT`, or record them.
"""

import asyncio
import wave
from pathlib import Path

import numpy as np

from rtpipe_realtime_server.brains.desk import load_desk
from rtpipe_realtime_server.brains.speech import SpeechBrain

TEXT = "This conversation is recorded. Ask at the desk if you do not want that."
VOICE = "marin"  # the desk's own
LEVEL = 10 ** (-6 / 20)


async def main() -> None:
    """Speak the notice and write the file."""
    desk = SpeechBrain(load_desk())
    spoken = await desk.speak(TEXT, VOICE)
    await desk.close()
    with wave.open(str(Path(__file__).with_name("notice.wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(np.rint(spoken.pcm * LEVEL).astype("<i2").tobytes())


if __name__ == "__main__":
    asyncio.run(main())
