"""What stands beside what."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.comparison import peers
from benchmarks.comparison.curves import curves
from benchmarks.comparison.subject import ROOT, Section, Setting, Subject

if TYPE_CHECKING:
    from collections.abc import Callable

RTPIPE, PLAIN = "rtpipe", "rtpipe, `fuse: false`"
BY_QUEUE = "rtpipe, fed by an `asyncio.Queue`"
FLOOR, QUEUES = "bare loop (the floor)", "bare `asyncio.Queue` an edge"
PIPECAT, DEFAULTS = "Pipecat bare", "Pipecat defaults"
DIRECT, QUEUED = "GStreamer direct (C)", "GStreamer queued (C)"
NODES, CHANNELS = "LiveKit generators", "LiveKit channels"
TICKER, FLOOR_TICKER = "rtpipe, one ticker", "bare loop, one timer"

LIBRARIES = "importing the kiosk's libraries"
_COMPAND = "-60,-90,-50,-50,0,0"
_LOOKING = "import click, pluggy, ruamel.yaml; from pydantic import BaseModel"
_CALLING = f"{_LOOKING}; import numpy, av, aiohttp, aiortc, _webrtcvad"


def sections(setting: Setting) -> list[Section]:
    """Return all sections, in the order of the page."""
    makers: tuple[Callable[[Setting], Section], ...] = (
        _frames,
        _latency,
        _density,
        _memory,
        _batch,
        _start,
        _kiosk,
    )
    return [*(make(setting) for make in makers), *curves(setting)]


def _ours(name: str, module: str, *words: object, short: bool = True) -> Subject:
    command = (sys.executable, "-m", f"benchmarks.subjects.{module}", *map(str, words))
    return Subject(name, command, ours=short)


def _peer(setting: Setting, name: str, venv: str, module: str, *words: object) -> Subject:
    python = peers.python(setting.peers, venv)
    command = (python, "-m", f"benchmarks.subjects.{module}", *map(str, words))
    return Subject(name, command)


def _gstreamer(setting: Setting, name: str, kind: str, *words: object) -> Subject:
    return Subject(name, (peers.gstreamer(setting.peers), kind, *map(str, words)))


def _frames(setting: Setting) -> Section:
    sizes = setting.sizes
    counts = (1, 6, 12)
    words = ("cost", "--frames", sizes.frames, "--repeats", sizes.repeats, "--stages", *counts)
    fewer = ("cost", "--frames", sizes.frames // 4, "--repeats", 2, "--stages", *counts)
    c_words = ("cost", sizes.frames, sizes.repeats, *counts)
    return Section(
        "frames",
        "A frame through six stages",
        "A frame of 20 ms is given to the source when the one before came out of the sink; between"
        " them are six stages that hand it on. CPU time of the whole process for each frame, and"
        " what one stage more costs (the slope over 1, 6 and 12 stages). rtpipe is fed"
        " through `rtpipe.FrameSource`, as each peer through a door of its own; in the row that"
        " says so through an `asyncio.Queue` of the program's, which costs one wake-up more; the"
        " floor through the cheapest channel that Python allows.",
        ("6 stages µs", "a stage µs"),
        RTPIPE,
        (
            _ours(RTPIPE, "rtpipe_frames", "fused", *words),
            _ours(PLAIN, "rtpipe_frames", "unfused", *words),
            _ours(BY_QUEUE, "rtpipe_frames", "queue", *words),
            _ours(FLOOR, "floor_frames", "fused", *words),
            _ours(QUEUES, "floor_frames", "queued", *words, short=False),
            _peer(setting, PIPECAT, "pipecat", "pipecat_frames", "bare", *fewer),
            _peer(setting, DEFAULTS, "pipecat", "pipecat_frames", "defaults", *fewer),
            _peer(setting, NODES, "livekit", "livekit_frames", "nodes", *words),
            _peer(setting, CHANNELS, "livekit", "livekit_frames", "channels", *words),
            _gstreamer(setting, DIRECT, "direct", *c_words),
            _gstreamer(setting, QUEUED, "queued", *c_words),
        ),
    )


def _latency(setting: Setting) -> Section:
    words = ("latency", "--seconds", setting.sizes.seconds)
    c_words = ("latency", setting.sizes.seconds, 6)
    return Section(
        "latency",
        "Latency at 50 frames a second",
        "From the moment a frame is given to the source of six stages to the moment its sink has"
        " it, one pipeline on a core with nothing else to do, in real time: what waking up costs"
        " is in it.",
        ("p50 µs", "p99 µs"),
        RTPIPE,
        (
            _ours(RTPIPE, "rtpipe_frames", "fused", *words),
            _ours(PLAIN, "rtpipe_frames", "unfused", *words, short=False),
            _ours(BY_QUEUE, "rtpipe_frames", "queue", *words),
            _ours(FLOOR, "floor_frames", "fused", *words),
            _peer(setting, PIPECAT, "pipecat", "pipecat_frames", "bare", *words),
            _peer(setting, DEFAULTS, "pipecat", "pipecat_frames", "defaults", *words),
            _peer(setting, NODES, "livekit", "livekit_frames", "nodes", *words),
            _gstreamer(setting, DIRECT, "direct", *c_words),
            _gstreamer(setting, QUEUED, "queued", *c_words),
        ),
    )


def _density(setting: Setting) -> Section:
    sizes = setting.sizes
    words = ("density", "--pipelines", sizes.pipelines, "--seconds", sizes.seconds)
    c_words = ("density", sizes.seconds, 6, sizes.pipelines)
    return Section(
        "density",
        f"{sizes.pipelines} pipelines in one process",
        "Each of six stages, in real time. CPU time of one pipeline for each second of audio,"
        " counted by the frames that came out. On own timers every source sleeps by itself, each"
        " at a phase of its own; with one ticker the sources have no clock of their own and are"
        " woken together.",
        (f"{sizes.pipelines} pipelines ms", f"{sizes.pipelines} pipelines in time %"),
        TICKER,
        (
            _ours(RTPIPE, "rtpipe_frames", "fused", *words),
            _ours(TICKER, "rtpipe_frames", "ticker", *words),
            _ours("rtpipe, `tone`", "rtpipe_frames", "tone", *words, short=False),
            _ours(FLOOR, "floor_frames", "fused", *words),
            _ours(FLOOR_TICKER, "floor_frames", "timer", *words),
            _peer(setting, PIPECAT, "pipecat", "pipecat_frames", "bare", *words),
            _peer(
                setting,
                "Pipecat bare, one timer",
                "pipecat",
                "pipecat_frames",
                "bare",
                *words,
                "--one-timer",
            ),
            _gstreamer(setting, DIRECT, "direct", *c_words),
        ),
    )


def _memory(setting: Setting) -> Section:
    words = ("memory", "--pipelines", 2 * setting.sizes.pipelines)
    c_words = ("memory", 2 * setting.sizes.pipelines, 6)
    return Section(
        "memory",
        "Memory of a pipeline",
        "What each further pipeline of six stages adds to the private memory of its process, after"
        " it was given five frames.",
        ("kB",),
        RTPIPE,
        (
            _ours(RTPIPE, "rtpipe_frames", "queue", *words),
            _ours(FLOOR, "floor_frames", "fused", *words),
            _peer(setting, PIPECAT, "pipecat", "pipecat_frames", "bare", *words),
            _peer(setting, DEFAULTS, "pipecat", "pipecat_frames", "defaults", *words),
            _gstreamer(setting, DIRECT, "direct", *c_words),
            _gstreamer(setting, QUEUED, "queued", *c_words),
        ),
    )


def _batch(setting: Setting) -> Section:
    source, out = str(setting.recording), setting.work

    def same(name: str, python: str, module: str, file: str, *words: object) -> Subject:
        target = out / file
        command = (python, "-m", f"benchmarks.subjects.{module}", source, str(target))
        ours = python == sys.executable
        return Subject(name, (*command, *map(str, words)), output=target, same=True, ours=ours)

    def other(name: str, file: str, *words: str) -> Subject:
        return Subject(name, (*words, str(out / file)), "process", output=out / file)

    me, pipecat = sys.executable, peers.python(setting.peers, "pipecat")
    ffmpeg = ("ffmpeg", "-v", "error", "-y", "-threads", "1", "-filter_threads", "1")
    sox = ("sox", "-V1", "-D", source)
    gate = "asetnsamples=960,volume=-3dB:precision=fixed,agate"

    def gst(name: str, file: str, *elements: str) -> Subject:
        begin = f"filesrc location={source} blocksize=1920 ! wavparse ! volume volume=0.708"
        line = " ! ".join([begin, *elements, "wavenc", f"filesink location={out / file}"])
        words = ("gst-launch-1.0", "-q", *line.split())
        return Subject(name, words, "process", output=out / file)

    return Section(
        "batch",
        f"A file of {setting.sizes.batch_s // 60 or setting.sizes.batch_s / 60:g} minutes",
        "file → gain → vad → mute_gate → file, 48 kHz mono. CPU time on one core, without imports"
        " where the program is Python's. rtpipe, the numpy loops and Pipecat do the same work: the"
        " hash of their samples is compared. GStreamer, FFmpeg and SoX decide otherwise what is"
        " speech, so of theirs only the level is told; their time is that of the whole process,"
        " which starts faster.",
        ("CPU s", "process CPU s", "wall s"),
        RTPIPE,
        (
            same(RTPIPE, me, "batch_rtpipe", "rtpipe.wav"),
            same("numpy loop, 200 ms", me, "batch_numpy", "numpy200.wav", 200),
            same("numpy loop, 1 s (the floor)", me, "batch_numpy", "numpy1000.wav", 1000),
            same("numpy loop, 20 ms", me, "batch_numpy", "numpy20.wav", 20),
            same(PIPECAT, pipecat, "batch_pipecat", "pipecat.wav", "bare"),
            same(DEFAULTS, pipecat, "batch_pipecat", "pipecat2.wav", "defaults"),
            gst("GStreamer removesilence", "gst1.wav", *_removesilence()),
            gst("GStreamer webrtcdsp", "gst2.wav", *_webrtcdsp()),
            other(
                "FFmpeg agate",
                "ffmpeg.wav",
                *ffmpeg,
                "-i",
                source,
                "-af",
                gate,
                "-c:a",
                "pcm_s16le",
            ),
            Subject(
                "SoX compand",
                (*sox, str(out / "sox.wav"), "vol", "-3dB", "compand", ".01,.3", _COMPAND),
                "process",
                output=out / "sox.wav",
            ),
        ),
    )


def _removesilence() -> tuple[str, str]:
    return "audiobuffersplit output-buffer-duration=1/50", "removesilence remove=false"


def _webrtcdsp() -> tuple[str]:
    off = ("echo-cancel", "noise-suppression", "gain-control", "high-pass-filter")
    return ("webrtcdsp " + " ".join(f"{name}=false" for name in off) + " voice-detection=true",)


def _start(setting: Setting) -> Section:  # noqa: ARG001 - as the others
    kiosk = str(ROOT / "pipelines" / "kiosk.yaml")

    def process(name: str, *words: str) -> Subject:
        return Subject(name, (sys.executable, *words), "process", ours=True)

    return Section(
        "start",
        "The start",
        "Of processes, beside others that only import what those need. `first RTP packet` is the"
        " kiosk of `pipelines/kiosk.yaml` with a recorded visitor (`--profile file`), from its"
        " start to the first packet that a socket sees, against a server that already runs on"
        f" another core. `validate` needs `{_LOOKING}`, the kiosk `{_CALLING}`.",
        ("CPU ms", "wall ms"),
        LIBRARIES,
        (
            process("`pass`", "-c", "pass"),
            process("`rtpipe --help`", "-m", "rtpipe", "--help"),
            process("importing click", "-c", "import click"),
            process("`rtpipe validate kiosk.yaml`", "-m", "rtpipe", "validate", kiosk),
            process("`rtpipe graph kiosk.yaml`", "-m", "rtpipe", "graph", kiosk),
            process("importing what validate needs", "-c", _LOOKING),
            process(LIBRARIES, "-c", _CALLING),
            _ours("first RTP packet", "first_packet", short=False),
        ),
    )


def _kiosk(setting: Setting) -> Section:
    words = ("--seconds", setting.sizes.idle_s)

    def idle(name: str, kind: str) -> Subject:
        command = (sys.executable, "-m", "benchmarks.subjects.idle_kiosk", kind, *map(str, words))
        return Subject(name, command, pinned=False)

    return Section(
        "kiosk",
        "The whole kiosk, while nobody speaks",
        "Microphone and loudspeaker of a private PulseAudio, a call to a server in another"
        " process. The bare script (`benchmarks/subjects/bare_kiosk.py`) is what aiortc and"
        " sounddevice need at least: no gain, no voice detection, no gate, no recording, no"
        " events; the short pipeline does the same as it, the kiosk all of that.",
        ("CPU ms a second", "resident MB", "private MB", "threads"),
        "bare script",
        (
            idle("rtpipe, the kiosk", "rtpipe"),
            idle("rtpipe, mic → realtime → speaker", "rtpipe-plain"),
            idle("bare script", "bare"),
        ),
        most_rounds=3,
    )
