"""When a sound that a device has taken is heard."""

from __future__ import annotations

import numpy as np

from rtpipe import audio
from rtpipe_plugins.sinks.speaker.playback import PlaybackLog, PlaybackStarted


def test_a_sound_is_heard_when_its_first_sample_leaves_the_device() -> None:
    log = PlaybackLog(48_000)
    pcm = np.zeros(960, np.int16)
    for number, audible in enumerate([False, True]):
        frame = audio.from_pcm(pcm, sample_rate=48_000, pts=960 * number)
        log.pushed(frame, 960, audible=audible)
    assert list(log.played(480, heard_at=1.01)) == []
    [started] = log.played(1440, heard_at=1.03)
    assert isinstance(started, PlaybackStarted)
    assert (started.position_s, started.heard_at) == (0.02, 1.02)
