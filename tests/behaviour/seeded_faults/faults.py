"""The faults: each changes a case. Their names begin with their kind."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

from behaviour.seeded_faults import media
from behaviour.seeded_faults.case import Case, policy, put
from behaviour.seeded_faults.receivers import BEHAVIOURS, Receiver
from behaviour.seeded_faults.strangers import ANYWHERE, LIFE, STRANGE_EVENTS, WRONG, strange_event

FAULTS: dict[str, Callable[[Case], None]] = {}
"""By name."""


def _each(kind: str, names: tuple[str, ...], apply: Callable[[Case, str], None]) -> None:
    for name in names:
        FAULTS[f"{kind}: {name}"] = partial(_applied, apply=apply, name=name)


def _applied(case: Case, *, apply: Callable[[Case, str], None], name: str) -> None:
    apply(case, name)


# -- what comes in ---------------------------------------------------------------------------------


def _file(case: Case, name: str, data: bytes, **options: object) -> None:
    live = case.real or case.rng.random() < 0.3
    path = put(case, name, data)
    case.source = {"id": "src", "file": {"path": path, "realtime": live, **options}}
    case.expected = None


def _damaged(case: Case, ending: str) -> None:
    ms = 300 if case.real else case.rng.choice((1000, 2500))
    whole = media.encoded(ending, ms)
    _file(case, f"damaged.{ending}", media.damaged(whole, case.rng))
    case.whole_ms = ms if ending in media.DECLARING else None


_each("media", tuple(media.CODECS), _damaged)


def _stamps(case: Case, name: str) -> None:
    match name:
        case "transport stream begins anew":
            _file(case, "reset.ts", media.restarted_ts(500))
        case "packet 100 h later":
            _file(case, "late.mka", media.encoded("mka", 1000, jump_s=360_000))
        case "packet 20 s later":
            _file(case, "late.mka", media.encoded("mka", 1000, jump_s=20))
        case "far" | "hole" | "back":
            _strange_source(case, name)
            case.expected = None


_each(
    "stamps",
    (
        "transport stream begins anew",
        "packet 100 h later",
        "packet 20 s later",
        "far",
        "hole",
        "back",
    ),
    _stamps,
)


def _odd(case: Case, name: str) -> None:
    rng = case.rng
    seconds = 0.2 if case.real else 1.0
    rate = media.RATE
    match name:
        case "many channels":
            channels = rng.randint(3, 64)
            _file(case, "many.wav", media.wav(media.noise(seconds, channels=channels)))
        case "tag that is not UTF-8":
            if rng.random() < 0.5:
                _file(case, "tag.wav", media.wav(media.noise(seconds), tag=b"caf\xe9\xff"))
            else:
                _file(case, "tag.mp3", media.latin1_mp3(500))
            return
        case "chained Ogg":
            _file(case, "chained.ogg", media.chained_ogg(400))
            return
        case "odd rate":
            rate = rng.choice((8000, 11_025, 22_050, 44_100, 96_000, 7999, 37_777))
            _file(case, "rate.wav", media.wav(media.noise(seconds, rate=rate), rate))
        case "FIFO":
            _fifo(case, media.wav(media.noise(seconds)))
        case "no header":
            _file(case, "raw.pcm", media.noise(seconds).tobytes())
            return
        case "empty":
            _file(case, "empty.wav", b"")
            return
    if name != "FIFO":
        case.expected = round(seconds * rate)


def _fifo(case: Case, data: bytes) -> None:
    path = case.folder / "fifo.wav"
    case.source = {"id": "src", "file": {"path": str(path)}}
    case.expected = None

    def feed() -> None:
        try:
            with path.open("wb", buffering=0) as pipe:
                pipe.write(data)
        except OSError:  # its reader has gone
            pass

    def begin() -> Callable[[], object]:
        os.mkfifo(path)
        thread = threading.Thread(target=feed, daemon=True)
        thread.start()

        def end() -> None:
            if thread.is_alive():  # nobody opened it
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
                thread.join(2)

        return end

    case.before.append(begin)


_each(
    "odd",
    (
        "many channels",
        "tag that is not UTF-8",
        "chained Ogg",
        "odd rate",
        "FIFO",
        "no header",
        "empty",
    ),
    _odd,
)


# -- stages of a stranger --------------------------------------------------------------------------


def _strange(case: Case, fault: str) -> dict[str, object]:
    again = case.rng.random() < 0.3
    return {"fault": fault, "at": case.rng.choice((0, 1, 3, 5)), "again": again}


def _strange_source(case: Case, fault: str) -> None:
    live = case.real or case.rng.random() < 0.5
    options = {"frames": 10 if case.real else 30, "live": live, **_strange(case, fault)}
    case.source = {"id": "src", "strange_source": options, "on_error": policy(case)}
    case.expected = None


_each(
    "source",
    (*ANYWHERE, *LIFE, *WRONG[:-1], "none", "hang", "frames_int", "swallow_cancel"),
    _strange_source,
)


def _strange_transform(case: Case, fault: str) -> None:
    kind = case.rng.choice(("strange_transform", "strange_transform", "strange_thread"))
    if kind == "strange_thread" and fault in {"leak", "thread"}:
        kind = "strange_transform"
    place = case.rng.randint(0, len(case.transforms))
    name = f"x{len(case.transforms)}"
    item = {"id": name, kind: _strange(case, fault), "on_error": policy(case)}
    case.transforms.insert(place, item)


_each(
    "transform",
    (*ANYWHERE, *LIFE, *WRONG, "swallow", "double", "finish", "finish_str", "reset"),
    _strange_transform,
)


def _strange_sink(case: Case, fault: str) -> None:
    name = f"s{len(case.sinks)}"
    case.sinks.append({"id": name, "strange_sink": _strange(case, fault), "on_error": policy(case)})


_each("sink", (*ANYWHERE, *LIFE, "hang", "slow", "drain", "drain_hang"), _strange_sink)


def _strange_ear(case: Case, fault: str) -> None:
    match = case.rng.choice(("*", "stage.*", "pipeline.*"))
    case.events.append({"match": match, "strange_ear": _strange(case, fault)})


_each("subscriber", (*ANYWHERE, *LIFE, "hang", "feed"), _strange_ear)


def _handler(case: Case, name: str) -> None:
    def handle(_: object) -> None:
        raise {"raises": ValueError("\ud800"), "exits": SystemExit(5)}[name]

    case.moments.append((0.0, lambda pipeline: pipeline.bus.subscribe("*", handle)))


_each("handler", ("raises", "exits"), _handler)


def _event(case: Case, kind: str) -> None:
    at = case.rng.choice((0.0, 0.1, 0.3))
    case.moments.append((at, lambda pipeline: pipeline.bus.publish(strange_event(kind))))
    if case.rng.random() < 0.7:
        case.events.append({"match": "*", "jsonl": str(case.folder / "out" / "more.jsonl")})


_each("event", STRANGE_EVENTS, _event)


# -- what it is shown on, written to, and told -----------------------------------------------------


def _display(case: Case, name: str) -> None:
    case.display = name


_each("display", ("closed", "broken pipe", "full pipe", "full disk", "latin-1", "none"), _display)


def _disk(case: Case, name: str) -> None:
    out = case.folder / "out"
    at = case.rng.choice((0.0, 0.05, 0.3))
    match name:
        case "full":
            case.largest = case.rng.choice((0, 100, 5000, 40_000, 150_000))
        case "folder vanishes":
            case.moments.append((at, lambda _: shutil.rmtree(out, ignore_errors=True)))
        case "folder becomes a file":

            def swap(_: object) -> None:
                shutil.rmtree(out, ignore_errors=True)
                out.write_text("in the way")

            case.moments.append((at, swap))
        case "read-only":
            out.mkdir()
            case.before.append(lambda: _in_the_way(out))


def _in_the_way(out: Path) -> Callable[[], object]:
    (out / "s0").write_text("a file where a folder should be")
    return lambda: None


_each("disk", ("full", "folder vanishes", "folder becomes a file", "read-only"), _disk)


_CHILDREN = {
    "dies": "import sys; sys.stdin.buffer.read(2000); sys.exit(3)",
    "hangs": "import time; time.sleep(60)",
    "closes its pipe": "import os, time; os.close(0); time.sleep(0.2)",
    "floods stderr": "import sys\nwhile sys.stdin.buffer.read(4096): sys.stderr.write('x' * 70000)",
    "ignores TERM": "import signal, sys, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)",
}


def _child_sink(case: Case, name: str) -> None:
    command = [sys.executable, "-S", "-c", _CHILDREN[name]]
    number = len(case.sinks)
    stage = {"id": f"s{number}", "process_sink": {"command": command}, "on_error": policy(case)}
    case.sinks.append(stage)


_each("child sink", tuple(_CHILDREN), _child_sink)

_SPEAKERS = {
    "dies": "import os; os.write(1, b'ab' * 4800 + b'a'); os._exit(3)",
    "hangs": "import os, time; os.write(1, b'ab' * 4800); time.sleep(60)",
    "closes its pipe": "import os, time; os.write(1, b'ab' * 4800); os.close(1); time.sleep(60)",
    "floods stderr": "import os; os.write(2, b'x' * 900000); os.write(1, b'ab' * 4800)",
    "no program": "",
}


def _child_source(case: Case, name: str) -> None:
    command = [sys.executable, "-S", "-c", _SPEAKERS[name]]
    if name == "no program":
        command = ["/nowhere/at/all"]
    case.source = {"id": "src", "process": {"command": command}, "on_error": policy(case)}
    case.expected = None


_each("child source", tuple(_SPEAKERS), _child_source)


def _receiver(case: Case, name: str) -> None:
    kind, behaviour = name.split(" ", 1)
    receiver = Receiver(behaviour)
    target: dict[str, object] = {
        "webhook": {"url": f"http://127.0.0.1:{receiver.port}/x"},
        "mqtt": {"topic": "x/{type}", "host": "127.0.0.1", "port": receiver.port},
    }
    case.events.append({"match": "pipeline.*", kind: target[kind]})
    case.before.append(receiver.begin)


_each(
    "receiver",
    tuple(f"{kind} {what}" for kind in ("webhook", "mqtt") for what in BEHAVIOURS),
    _receiver,
)
