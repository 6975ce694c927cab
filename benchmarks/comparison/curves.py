"""How cost grows: with stages, with pipelines, with calls, with the length of frames."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.comparison import peers
from benchmarks.comparison.subject import Section, Setting, Subject

if TYPE_CHECKING:
    from collections.abc import Iterable

AIORTC = "aiortc"
_MOST_ROUNDS = 3
_PIPECAT_STAGES, _PIPECAT_PIPELINES = 50, 100
"""Beyond that it takes long to show what is to be seen before."""


def curves(setting: Setting) -> list[Section]:
    """Return the four sections."""
    return [_stages(setting), _pipelines(setting), _calls(setting), _lengths(setting)]


def _python(name: str, python: str, module: str, *words: object) -> Subject:
    command = (python, "-m", f"benchmarks.subjects.{module}", *map(str, words))
    return Subject(name, command, ours=python == sys.executable)


def _stages(setting: Setting) -> Section:
    sizes = setting.sizes
    counts, frames = sizes.stage_counts, max(sizes.frames // 4, 20)
    words = ("cost", "--repeats", 1, "--frames", frames, "--stages", *counts)
    some = [count for count in counts if count <= _PIPECAT_STAGES]
    fewer = ("cost", "--repeats", 1, "--frames", max(frames // 4, 20), "--stages", *some)
    pipecat = peers.python(setting.peers, "pipecat")
    gstreamer = (peers.gstreamer(setting.peers), "direct", "cost", frames, 1, *counts)
    return Section(
        "stages",
        "From 1 to 100 stages",
        "CPU time of a frame as in [a frame through six stages](#a-frame-through-six-stages).",
        tuple(f"{count} stages µs" for count in counts),
        "rtpipe",
        (
            _python("rtpipe", sys.executable, "rtpipe_frames", "fused", *words),
            _python("bare loop (the floor)", sys.executable, "floor_frames", "fused", *words),
            _python("Pipecat bare", pipecat, "pipecat_frames", "bare", *fewer),
            Subject("GStreamer direct (C)", tuple(map(str, gstreamer))),
        ),
        most_rounds=_MOST_ROUNDS,
    )


def _pipelines(setting: Setting) -> Section:
    counts, seconds = setting.sizes.pipeline_counts, setting.sizes.seconds / 2

    def words(counts: Iterable[int]) -> tuple[object, ...]:
        return ("density", "--seconds", seconds, "--pipelines", *counts)

    few = [count for count in counts if count <= _PIPECAT_PIPELINES]
    pipecat = peers.python(setting.peers, "pipecat")
    gstreamer = (peers.gstreamer(setting.peers), "direct", "density", seconds, 6, *counts)
    return Section(
        "pipelines",
        f"From 1 to {max(counts)} pipelines",
        "CPU time of one pipeline for each second of audio, as in the section on many pipelines. A"
        " lone pipeline costs its wake-ups, whatever it is written in.",
        tuple(f"{count} pipelines ms" for count in counts),
        "rtpipe, one ticker",
        (
            _python(
                "rtpipe, one ticker", sys.executable, "rtpipe_frames", "ticker", *words(counts)
            ),
            _python("rtpipe", sys.executable, "rtpipe_frames", "fused", *words(counts)),
            _python(
                "bare loop, one timer", sys.executable, "floor_frames", "timer", *words(counts)
            ),
            _python("Pipecat bare", pipecat, "pipecat_frames", "bare", *words(few)),
            Subject("GStreamer direct (C)", tuple(map(str, gstreamer))),
        ),
        most_rounds=_MOST_ROUNDS,
    )


def _calls(setting: Setting) -> Section:
    counts = setting.sizes.call_counts
    words = ("--seconds", setting.sizes.seconds, "--calls", *counts)

    def call(name: str, kind: str) -> Subject:
        command = (sys.executable, "-m", "benchmarks.subjects.calls", kind, *map(str, words))
        return Subject(name, command, pinned=False, ours=True)

    return Section(
        "calls",
        f"From 1 to {max(counts)} calls",
        "WebRTC calls in one process, speech both ways in real time: CPU time of one call for each"
        " second of audio that came through. Their far ends are in another process and send all"
        " subjects the same packets. aiortc is given frames of 48 kHz from memory, by its public"
        " interface alone, mono or stereo; rtpipe's is the call of `realtime`. With error"
        " correction (`application: voip`, `fec`) the encoder takes three times as long.",
        tuple(f"{count} calls ms" for count in counts),
        "rtpipe",
        (
            call("rtpipe", "rtpipe"),
            call("rtpipe, voip and fec", "voip"),
            call(AIORTC, "aiortc"),
            call("aiortc, stereo", "aiortc-stereo"),
        ),
        most_rounds=_MOST_ROUNDS,
    )


def _lengths(setting: Setting) -> Section:
    lengths = setting.sizes.lengths_ms
    seconds = max(setting.sizes.batch_s // 10, 3)
    words = ("--seconds", seconds, "--lengths", *lengths)
    return Section(
        "lengths",
        "From 10 ms to 1 s in a frame",
        "gain, vad and mute_gate on frames of these lengths, from memory to nowhere: CPU time for"
        " each 20 ms of audio. Beside it numpy alone, which does the same arithmetic.",
        tuple(f"{length} ms µs" for length in lengths),
        "numpy loop (the floor)",
        (
            _python("rtpipe", sys.executable, "lengths", "rtpipe", *words),
            _python("numpy loop (the floor)", sys.executable, "lengths", "numpy", *words),
        ),
        most_rounds=_MOST_ROUNDS,
    )
