"""The knobs of a bad day: what the server does wrong on purpose, so that a client can be tried.

Each knob is a key of `faults:` in a script and a `--fault NAME[=VALUE]`. What it says is done by
the modules beside this one; nothing here does anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field

from rtpipe import Options
from rtpipe_realtime_server.flags import read_flags

if TYPE_CHECKING:
    from collections.abc import Iterable


def _alone(value: Any, *, default: Any = None) -> Any:
    """Say which value a knob has when its name is given alone."""
    return Field(default=default, json_schema_extra={"alone": value})


def _close_code(code: int) -> int:
    """Refuse what RFC 6455 lets no endpoint send."""
    if (1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999:
        return code
    raise ValueError("a close code is 1000 to 1014 without 1004 to 1006, or 3000 to 4999")


def _off() -> Any:
    return _alone(True, default=False)  # noqa: FBT003 - the value of a knob


AUDIO_FORMATS: dict[str, dict[str, Any]] = {
    "pcm_16k": {"type": "audio/pcm", "rate": 16000},
    "pcmu": {"type": "audio/pcmu"},
    "pcma": {"type": "audio/pcma"},
    "opus": {"type": "audio/opus"},
}
"""What a session shows for each value of `audio_format`."""

Count: TypeAlias = Annotated[int, Field(ge=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0)]
Milliseconds: TypeAlias = Annotated[int, Field(ge=0)]


class Faults(Options):
    """What goes wrong. A knob that is not given does nothing."""

    first_calls: Count | None = _alone(1)
    """The other knobs spoil only the first so many calls; those after them are well."""

    # HTTP
    http_429: Count | None = _alone(1)
    """So many requests for a call are refused with 429 before one is taken."""
    http_500: Count | None = _alone(1)
    """So many requests for a call are refused with 500 before one is taken."""
    retry_after_s: Seconds | None = _alone(1)
    """The refusals of `http_429` and `http_500` carry this `Retry-After`, in seconds."""
    answer_delay_s: Seconds | None = _alone(3)
    """The answer to an offer comes so many seconds late."""
    bad_answer: Literal["html", "cut"] | None = _alone("html")
    """The answer to an offer is, with status 201, `html` or an SDP that is `cut` in its middle."""
    no_end_of_candidates: bool = _off()
    """The SDP answer has no `a=end-of-candidates`, as OpenAI's has none."""

    # Events
    no_session_created: bool = _off()
    """`session.created` is never sent."""
    session_updated_delay_ms: Milliseconds | None = _alone(2000)
    """Every `session.updated` comes so many milliseconds late."""
    duplicate_every: Count | None = _alone(2)
    """Every n-th event is sent twice."""
    unknown_every: Count | None = _alone(2)
    """After every n-th event comes one of a type that nobody knows."""
    malformed_every: Count | None = _alone(2)
    """After every n-th event comes a text that is no JSON. Not on a sideband."""
    binary_every: Count | None = _alone(2)
    """After every n-th event comes a binary message. Not on a sideband."""
    extra_fields: bool = _off()
    """Every object of every event has a field that nobody knows."""
    missing_fields: bool = _off()
    """Events lack every field that OpenAI's types call optional and a client may live without."""
    null_usage: bool = _off()
    """`usage` is null in `response.done`."""
    beta_names: bool = _off()
    """Events and sessions are those of the beta API: `response.audio_transcript.delta`, …"""
    no_output_audio_buffer: bool = _off()
    """What is being played is never told: no `output_audio_buffer.*`."""
    one_delta: bool = _off()
    """All of an answer's audio comes in one event; over a WebSocket."""
    audio_format: Literal["pcm_16k", "pcmu", "pcma", "opus"] | None = _alone("pcmu")
    """The audio in events has this format, which the session shows, whatever the client asks for:
    `pcm_16k`, `pcmu`, `pcma`, or `opus`, which is none. Over a WebSocket."""
    event_order: Literal["cleared_first", "done_first", "shuffled"] | None = _alone("shuffled")
    """What comes first of `cleared`, `truncated` and `response.done` when an answer is interrupted:
    `cleared_first`, `done_first` or `shuffled`."""
    transcription: Literal["late", "failed"] | None = _alone("late")
    """The visitor's words come `late`, after `response.done`, or are said to have `failed`."""
    mcp_list_failed: bool = _off()
    """The tools of an MCP server cannot be listed: `mcp_list_tools.failed`."""
    event_flood: Annotated[int, Field(ge=1, le=100_000)] | None = _alone(5000)
    """So many events arrive at once after each `response.created`."""
    huge_event_kb: Annotated[int, Field(ge=1, le=16_000)] | None = _alone(1000)
    """After `session.created` comes an event of so many kB; a data channel takes at most 256 kB."""

    # Responses
    response_failed: Annotated[str, Field(min_length=1)] | None = _alone("insufficient_quota")
    """Every response fails with this error code."""
    response_incomplete: Literal["max_output_tokens", "content_filter"] | None = _alone(
        "max_output_tokens"
    )
    """Every response stops in its middle: `max_output_tokens` or `content_filter`."""

    # Packets from the server
    lose_percent: Annotated[float, Field(gt=0, le=100)] | None = _alone(2)
    """So many of a hundred RTP packets are lost, by chance."""
    lose_every: Count | None = _alone(50)
    """Every n-th RTP packet is lost."""
    lose_packet: Count | None = _alone(150)
    """The n-th RTP packet of a call is lost, and no other."""
    jitter_ms: Annotated[int, Field(ge=1, le=2000)] | None = _alone(60)
    """Each RTP packet is up to so many milliseconds late; above 20 they overtake one another."""
    drift_ppm: Annotated[float, Field(ge=-5000, le=5000)] | None = _alone(200)
    """The clock of the server's audio is so many parts per million fast, or slow if negative."""
    rtp_stop_s: Seconds | None = _alone(5)
    """So many seconds into a call its RTP ends; RTCP and events go on."""

    # The life of a call, in seconds since it was connected
    freeze_s: Seconds | None = _alone(5)
    """Nothing goes out or comes in for so many seconds, then all goes on: a stalled network."""
    freeze_at_s: Seconds = _alone(5, default=5.0)
    """So many seconds into a call `freeze_s` begins."""
    vanish_s: Seconds | None = _alone(5)
    """So many seconds into a call the server is gone without a word: no packet in or out."""
    close_channel_s: Seconds | None = _alone(5)
    """So many seconds into a call the server closes the event channel; the audio goes on."""
    hang_up_s: Seconds | None = _alone(5)
    """So many seconds into a call the server ends it in good order."""
    close_code: Annotated[int, AfterValidator(_close_code)] | None = _alone(1008)
    """A session on a WebSocket ends with this close code: at `hang_up_s`, else at once."""
    close_reason: Annotated[str, Field(min_length=1, max_length=123)] | None = _alone(
        "policy violation"
    )
    """A session on a WebSocket ends with this close reason, of at most 123 bytes."""

    def overlaid(self, other: Faults) -> Faults:
        """Return these faults with those that `other` gives on top."""
        given = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=given)

    def described(self) -> str:
        """Return the knobs that are set, as one would give them."""
        return ", ".join(
            f"{name}={str(value).lower() if isinstance(value, bool) else value}"
            for name, value in self.model_dump(exclude_defaults=True).items()
        )


def alone(name: str) -> Any:
    """Return the value that the knob `name` has when it is given without one."""
    extra = Faults.model_fields[name].json_schema_extra
    return extra["alone"] if isinstance(extra, dict) else None


def from_flags(flags: Iterable[str]) -> Faults:
    """Return what `--fault NAME[=VALUE]`, given several times, asks for.

    Raises:
        ConfigError: There is no such knob, or it does not take the value.
    """
    return read_flags(flags, Faults, name="fault", alone=alone)
