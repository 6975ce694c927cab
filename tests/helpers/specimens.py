"""Kinds with options, events and actions but no behaviour: what the language is tried on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from rtpipe import (
    AudioFormat,
    ConfigError,
    InputPath,
    Options,
    OutputPath,
    Peer,
    Sink,
    Source,
    Subscriber,
    Transform,
    action,
    hookimpl,
)
from rtpipe.catalogue.plugins import Registry
from rtpipe.language.loading import Loaded, from_text
from rtpipe.wording.diagnostics import Diagnostic


class MicOptions(Options):
    main = "device"
    device: str | int = "default"
    """Name, part of one, or index."""
    sample_rate: int = Field(48000, ge=8000, le=192000)
    block_ms: float = Field(20, gt=0)


class Mic(Source[MicOptions]):
    """What a microphone hears."""

    kind = "mic"

    @classmethod
    def claims(cls, options: MicOptions) -> str:
        return f"device-in:{options.device}"


class FileOptions(Options):
    main = "path"
    path: InputPath
    realtime: bool = False


class File(Source[FileOptions]):
    """The audio of a file."""

    kind = "file"


class Tone(Source[Options]):
    """A test signal."""

    kind = "tone"


class GainOptions(Options):
    main = "gain_db"
    gain_db: float = 0.0
    mute: bool = False


class Gain(Transform[GainOptions]):
    """Changes the volume."""

    kind = "gain"

    @action
    def set(self, gain_db: float, ramp_ms: float = 20.0) -> None:
        """Change the gain."""

    @action
    def toggle(self) -> None:
        """Mute or unmute."""


class VadOptions(Options):
    main = "aggressiveness"
    aggressiveness: int = Field(2, ge=0, le=3)


class Vad(Transform[VadOptions]):
    """Marks speech."""

    kind = "vad"
    publishes = ("vad.speech_started", "vad.speech_stopped")


class GateOptions(Options):
    main = "mode"
    mode: Literal["open", "closed", "half_duplex"] = "open"
    tail_ms: int = Field(400, ge=0)


class Gate(Transform[GateOptions]):
    """Lets audio through, or zeros."""

    kind = "mute_gate"
    publishes = ("mute_gate.opened", "mute_gate.closed")


class ResampleOptions(Options):
    main = "sample_rate"
    sample_rate: int | None = None
    layout: str | None = None
    format: str | None = None


class Resample(Transform[ResampleOptions]):
    """Another format."""

    kind = "resample"

    @classmethod
    def accepts_for(cls, options: ResampleOptions) -> AudioFormat:
        return AudioFormat(options.sample_rate, options.layout, options.format)


class ServerVad(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["server_vad"] = "server_vad"
    silence_duration_ms: int = 500
    threshold: float = Field(0.5, ge=0, le=1)


class SemanticVad(BaseModel):
    model_config = ConfigDict(extra="forbid")

    type: Literal["semantic_vad"]
    eagerness: Literal["low", "high"]


class IceServer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    urls: str
    credential: SecretStr | None = None


class RealtimeOptions(Options):
    main = "model"
    model: str = "gpt-realtime"
    voice: str = "marin"
    provider: Literal["openai", "embedded"] = "openai"
    api_key: SecretStr | None = None
    instructions: str = ""
    turn_detection: ServerVad | SemanticVad | None = None
    ice_servers: tuple[IceServer, ...] = ()
    session: dict[str, Any] = Field(default_factory=dict)


class Realtime(Peer[RealtimeOptions]):
    """A conversation."""

    kind = "realtime"
    accepts = AudioFormat(48_000, "mono", "s16")
    exact_ms = 20
    publishes = ("response.*", "input_audio_buffer.speech_started", "transcript.user")

    @action
    def say(self, text: str) -> None:
        """Say a text."""


class MixOptions(Options):
    gains: dict[str, float] = Field(default_factory=dict)


class Mix(Transform[MixOptions]):
    """Many into one."""

    kind = "mix"
    many_inlets = True


class SpeakerOptions(Options):
    main = "device"
    device: str = "default"
    volume: float = Field(1.0, ge=0, le=2)


class Speaker(Sink[SpeakerOptions]):
    """Plays."""

    kind = "speaker"
    publishes = ("playback.started", "playback.stopped")

    @action
    def flush(self) -> None:
        """Drop what was not played."""

    @classmethod
    def claims(cls, options: SpeakerOptions) -> str:
        return f"device-out:{options.device}"


class FileSinkOptions(Options):
    main = "path"
    path: OutputPath
    overwrite: bool = False


class FileSink(Sink[FileSinkOptions]):
    """Writes a file."""

    kind = "file_sink"

    @classmethod
    def claims(cls, options: FileSinkOptions) -> str:
        return f"file:{options.path.absolute()}"


class RecorderOptions(Options):
    main = "path"
    path: OutputPath
    first_s: float = 0.0
    last_s: float = 9.0

    @model_validator(mode="after")
    def _in_order(self) -> RecorderOptions:
        if self.first_s > self.last_s:
            raise ValueError("first_s comes after last_s")
        return self


class Recorder(Sink[RecorderOptions]):
    """Writes its inputs side by side."""

    kind = "recorder"
    many_inlets = True

    @classmethod
    def claims(cls, options: RecorderOptions) -> str:
        return f"file:{options.path.absolute()}"


class Blackhole(Sink[Options]):
    """Swallows."""

    kind = "blackhole"


class LogOptions(Options):
    main = "level"
    level: Literal["debug", "info"] = "info"


class Log(Subscriber[LogOptions]):
    """Writes lines."""

    kind = "log"


class JsonlOptions(Options):
    main = "path"
    path: OutputPath


class Jsonl(Subscriber[JsonlOptions]):
    """Appends lines of JSON."""

    kind = "jsonl"

    @classmethod
    def claims(cls, options: JsonlOptions) -> str:
        return f"file:{options.path.absolute()}"


class Webhook(Subscriber[JsonlOptions]):
    """Publishes what no stage here does."""

    kind = "webhook"
    publishes: ClassVar[tuple[str, ...]] = ("webhook.failed",)


class Specimens:
    """The plugin."""

    @staticmethod
    @hookimpl
    def rtpipe_stages() -> list[type]:
        return [
            Mic, File, Tone, Gain, Vad, Gate, Resample, Realtime, Mix,
            Speaker, FileSink, Recorder, Blackhole, Log, Jsonl, Webhook,
        ]  # fmt: skip


def registry() -> Registry:
    """Return a registry of the specimens and nothing that is installed."""
    made = Registry()
    made.register(Specimens(), "specimens")
    assert not made.faulty
    return made


KIOSK = """
version: 1
name: kiosk
description: A visitor talks to the Realtime model; the desk hears and answers.
vars: {voice: marin, record: true}

stages:
  - mic: {device: "${env:KIOSK_MIC:-default}"}
    fallback: {file: {path: audio/visitor.wav, realtime: true}}
  - gain: 3
  - vad: {aggressiveness: 2}
  - mute_gate: {mode: half_duplex, tail_ms: 400}
  - realtime:
      model: gpt-realtime-2.1
      voice: ${voice}
      instructions: ${file:prompts/desk.md}
      turn_detection: {type: server_vad, silence_duration_ms: 500}
    fallback: {realtime: {provider: embedded}}
  - speaker: {device: "${env:KIOSK_SPEAKER:-default}"}
    fallback: {file_sink: {path: out/kiosk-answer.wav}}
  - recorder: {path: out/%Y%m%d-%H%M%S.mka}
    from: [mute_gate, realtime]
    enabled: ${record}

events:
  - log
  - jsonl: out/%Y%m%d.jsonl
  - match: input_audio_buffer.speech_started
    do: speaker.flush
"""
"""The file that the project is judged by."""

HOME = Path("/home/desk/desk.yaml")


def understood(text: str, **choices: Any) -> Loaded:
    """Load a text that is right, with an empty environment."""
    defaults: dict[str, Any] = {"path": HOME, "registry": registry(), "env": {}}
    return from_text(text, **{**defaults, **choices})


def mistakes(text: str, **choices: Any) -> list[Diagnostic]:
    """Load a text that is wrong and return what was found."""
    try:
        understood(text, **choices)
    except ConfigError as error:
        return list(error.diagnostics)
    raise AssertionError("nothing was found wrong")


def stage(loaded: Loaded, id: str) -> Any:
    """Return the stage of that id."""
    return next(each for each in loaded.spec.stages if each.id == id)


def snippets(found: Diagnostic) -> list[str]:
    """Return what stands between backticks in a diagnostic's help."""
    return re.findall(r"`([^`]+)`", found.help or "")


def stages(text: str) -> str:
    """Return a file whose stages are `text`."""
    return f"version: 1\nstages:\n{text}"
