"""OpenAI's session object: made of the options, and checked before a call: keys, ranges, slips."""

from __future__ import annotations

import os
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from rtpipe import Finding, Ineffective, OptionModel, Options, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

_OURS = {"interrupt_response": False, "create_response": False}
"""Who judges noises interrupts and answers himself."""
_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse", "marin", "cedar")
_MODELS = ("gpt-realtime", "gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-mini")
_CLEARED: dict[str, Any] = {"instructions": "", "tools": []}
"""What takes away what was there."""
_NESTED = ("audio", "input", "output")
_WINS = ("voice", "instructions", "tools")
"""Options that a key of `session` replaces; of the others' mappings the two are merged."""

_Milliseconds: TypeAlias = Annotated[int, Field(ge=0)]


def session_object(options: RealtimeOptions) -> dict[str, Any]:
    """Return OpenAI's session object with what the options say and nothing else."""
    heard: dict[str, Any] = {"transcription": options.transcription}
    if "turn_detection" in options.model_fields_set:
        heard["turn_detection"] = options.turn_detection
    if options.false_interruption is not None:
        heard["turn_detection"] = {"type": "server_vad", **(options.turn_detection or {}), **_OURS}
    wanted: dict[str, Any] = {
        "type": "realtime",
        "model": options.model,
        "audio": {"input": heard},
    }
    if options.voice is not None:
        wanted["audio"]["output"] = {"voice": options.voice}
    if options.instructions is not None:
        wanted["instructions"] = options.instructions
    if options.tools:
        wanted["tools"] = [tool.declaration() for tool in options.tools]
    return merged(wanted, options.session)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `over` laid on it: maps merge, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        present = result.get(key)
        if isinstance(present, dict) and isinstance(value, dict):
            result[key] = merged(present, value)
        else:
            result[key] = value
    return result


def session_change(options: RealtimeOptions, to: RealtimeOptions) -> dict[str, Any] | None:
    """Return what turns the session of the one into that of the other; None: only a call can.

    The model is the call's, and so is the voice once it has spoken; a key that is gone has a value
    that only the server knows. A call knows which functions are answered here, and for whom.
    """
    before, after = session_object(options), session_object(to)
    if before["model"] != after["model"] or _voice(before) != _voice(after):
        return None
    if (options.own_tools(), options.approvals()) != (to.own_tools(), to.approvals()):
        return None
    return _difference(before, after)


def _voice(session: Mapping[str, Any]) -> Any:
    return _inside(session, "audio", "output").get("voice")


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] = {}
    for key in before.keys() - after.keys():
        if key not in _CLEARED:
            return None
        found[key] = _CLEARED[key]
    for key, value in after.items():
        present = before.get(key)
        if key in before and present == value:
            continue
        found[key] = value
        if isinstance(value, dict) and isinstance(present, dict):
            inner = _difference(present, value)
            if inner is None:
                return None
            if key in _NESTED:  # of the rest servers want the whole
                found[key] = inner
    return found


# -- what a file may say ---------------------------------------------------------------------------


class _Object(Options):
    """A part of the session object: sent as it stands, so that "500" is no number."""

    model_config = ConfigDict(strict=True)


class _Detection(_Object):
    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    create_response: bool | None = None
    interrupt_response: bool | None = None


class _ServerVad(_Detection):
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    prefix_padding_ms: _Milliseconds | None = None
    silence_duration_ms: _Milliseconds | None = None
    idle_timeout_ms: Annotated[int, Field(ge=5000, le=30_000)] | None = None


class _SemanticVad(_Detection):
    eagerness: Literal["auto", "low", "medium", "high"] | None = None


class _Transcription(_Object):
    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


class _NoiseReduction(_Object):
    type: Literal["near_field", "far_field"] | None = None
    strength: Annotated[float, Field(ge=0, le=1)] | None = None


class _Input(_Object):
    format: dict[str, Any] | None = None
    transcription: dict[str, Any] | None = None
    noise_reduction: _NoiseReduction | None = None
    turn_detection: dict[str, Any] | None = None


class _Output(_Object):
    format: dict[str, Any] | None = None
    voice: str | dict[str, Any] | None = None
    speed: Annotated[float, Field(ge=0.25, le=1.5)] | None = None


class _Audio(_Object):
    input: _Input | None = None
    output: _Output | None = None


class _Session(_Object):
    output_modalities: (
        Annotated[list[Literal["audio", "text"]], Field(min_length=1, max_length=1)] | None
    ) = None
    instructions: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Literal["auto", "none", "required"] | dict[str, Any] | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=4096)] | Literal["inf"] | None = None
    tracing: Literal["auto"] | dict[str, Any] | None = None
    truncation: Literal["auto", "disabled"] | dict[str, Any] | None = None
    prompt: dict[str, Any] | None = None
    include: list[Literal["item.input_audio_transcription.logprobs"]] | None = None
    reasoning: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    audio: _Audio | None = None


def examine(options: RealtimeOptions) -> Iterator[Examined]:
    """Yield what is to be checked by OpenAI's rules, and what the session object replaces.

    A server of somebody else's, that speaks the protocol, may know more than these.
    """
    yield from _replaced(options)
    if options.provider == "openai" and (options.base_url or os.environ.get("OPENAI_BASE_URL")):
        return
    yield from _slips(options)
    heard = _inside(options.session, "audio", "input")
    for option, detection in (
        ("turn_detection", options.turn_detection),
        ("session.audio.input.turn_detection", heard.get("turn_detection")),
    ):
        if isinstance(detection, dict):
            semantic = detection.get("type") == "semantic_vad"
            yield OptionModel(option, _SemanticVad if semantic else _ServerVad)
    yield OptionModel("transcription", _Transcription)
    yield OptionModel("session", _Session)
    yield OptionModel("session.audio.input.transcription", _Transcription)


def _slips(options: RealtimeOptions) -> Iterator[Finding]:
    """Yield names that are hardly meant; new voices and models come, so that they may be."""
    if options.voice is not None and options.voice not in _VOICES:
        near = get_close_matches(options.voice.lower(), _VOICES, 1)
        if near:
            message = f"`{options.voice}` is no voice that is known"
            yield Finding("odd", message, "voice", Remedy("did you mean `{}`?", near[0]))
    azure = options.provider == "azure"  # where a deployment is called as its owner likes
    if not azure and not options.model.startswith("gpt-realtime"):
        near = get_close_matches(options.model.lower(), _MODELS, 1, 0.8)
        if near:
            message = f"`{options.model}` is no model that is known"
            yield Finding("odd", message, "model", Remedy("did you mean `{}`?", near[0]))


def _replaced(options: RealtimeOptions) -> Iterator[Ineffective]:
    spoken = _inside(options.session, "audio", "output")
    for option in _WINS:
        inside, key = (spoken, "audio.output.voice") if option == "voice" else (None, option)
        if option in (options.session if inside is None else inside):
            message = f"`session` has `{key}` too, which wins over `{option}`"
            yield Ineffective(option, message, (f"session.{key}",))
    if options.session.get("output_modalities") == ["text"]:
        message = "`voice` is not heard where `output_modalities` is [text]"
        yield Ineffective("voice", message, ("session.output_modalities",))


def _inside(session: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for step in path:
        found = session.get(step)
        session = found if isinstance(found, dict) else {}
    return session
