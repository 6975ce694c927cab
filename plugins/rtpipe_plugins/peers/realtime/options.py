"""What a user may say about the conversation, and the session object that it amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from rtpipe import InputPath, Options
from rtpipe_plugins.peers.realtime.account import http_root
from rtpipe_plugins.peers.realtime.call.budget import Budget
from rtpipe_plugins.peers.realtime.call.reconnect import Reconnect
from rtpipe_plugins.peers.realtime.call.roll_over import RollOver
from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import FalseInterruptions
from rtpipe_plugins.peers.realtime.tools.declarations import ServerTool, Tool, distinct
from rtpipe_webrtc.options import IceServer, JitterOptions, OpusOptions

if TYPE_CHECKING:
    from collections.abc import Mapping


_OURS = {"interrupt_response": False, "create_response": False}
"""Who judges noises interrupts and answers himself."""


class FalseInterruption(Options):
    """What is taken for words, and what for a cough."""

    min_speech_ms: float = Field(default=500.0, ge=0, le=10_000)
    """What lasts so long is words."""
    words_ms: float = Field(default=1000.0, ge=0, le=10_000)
    """How long after a shorter noise its transcript is waited for; one with a word in it
    interrupts. Without `transcription` nothing is waited for."""


class RealtimeOptions(Options):
    """A conversation with a Realtime model."""

    main: ClassVar[str | None] = "model"

    provider: Literal["openai", "azure", "embedded"] = "openai"
    """Whose server: `openai` is also any server that speaks its protocol, `embedded` runs one here,
    offline."""
    base_url: Annotated[str, AfterValidator(http_root)] | None = None
    """Default: OPENAI_BASE_URL, else https://api.openai.com/v1. Azure: AZURE_OPENAI_ENDPOINT."""
    api_key: SecretStr | None = None
    """Default: OPENAI_API_KEY; Azure: AZURE_OPENAI_API_KEY. A key `ek_…` is an ephemeral one, whose
    maker has already chosen the session."""
    ephemeral: bool = False
    """Make the call with an ephemeral key that is asked for first. Azure always does."""
    transport: Literal["webrtc", "websocket"] = "webrtc"
    """How the call travels: `webrtc` bears a bad network, `websocket` passes where UDP does not."""
    model: str = "gpt-realtime-2.1"
    """The model; Azure: the deployment."""
    voice: str | None = None
    """Default: the model's own."""
    instructions: str | None = None
    """What the model is and how it should behave."""
    turn_detection: dict[str, Any] | None = None
    """Who decides that the visitor's turn is over, as in OpenAI's session object; `null` leaves it
    to `commit` and `respond`. Default: the server's own."""
    transcription: dict[str, Any] | None = Field(default={"model": "gpt-transcribe"})
    """How the visitor's words become text; `null` switches that off."""
    tools: Annotated[list[Tool], AfterValidator(distinct)] = Field(default=[])
    """What the model may call: Python functions, commands, tools as in OpenAI's session object."""
    interrupt_on: str | tuple[str, ...] = ()
    """Events (names or globs) at which the model falls silent at once, as `vad.speech_started` of a
    `vad` before it. The server's own `speech_started` always does, unless the session has
    `interrupt_response: false`."""
    false_interruption: FalseInterruption | None = None
    """Pause at a noise, and go on where it was a cough. Needs `server_vad`."""
    session: dict[str, Any] = Field(default={})
    """Any other key of OpenAI's session object under its own name; it wins over the options above.
    """
    greeting: str | None = None
    """What the model says first, without being spoken to."""
    ice_servers: list[IceServer] = Field(default=[])
    """STUN and TURN servers. OpenAI needs none, and an unreachable one delays each call by 5 s."""
    jitter: JitterOptions = Field(default=JitterOptions())
    """How the model's voice is put in order. WebRTC only."""
    opus: OpusOptions = Field(default=OpusOptions())
    """How the visitor's voice is encoded. WebRTC only."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """How long setting up the call may take, from the offer to the session. Whatever may pass (429,
    5xx, no connection) is tried again meanwhile."""
    reconnect: Reconnect | Literal[False] = Reconnect()
    """How a lost call is called again; `false`: the stage fails with it, and `on_error` decides."""
    roll_over: RollOver | Literal[False] = RollOver()
    """How the next call takes over before the server ends this one; `false`: it does not."""
    history_items: int = Field(default=40, ge=0, le=1000)
    """How much of the conversation the next call is told, in items: what somebody said, a function
    call, its result."""
    budget: Budget | None = None
    """When to hang up for good, so that a forgotten call costs no fortune."""
    rules: InputPath | None = None
    """`embedded`: the answers, a YAML file. Default: a museum's information desk."""
    model_path: InputPath | None = None
    """`embedded`: the folder of the recogniser's model. Default: the one that `speech` installs."""
    script: InputPath | None = None
    """`embedded`: a dialogue to follow word for word, a YAML file; in place of `rules`."""
    faults: dict[str, Any] | None = None
    """`embedded`: what the server does wrong on purpose, to rehearse a bad day; each as `--fault`
    of `serve-realtime` has it."""

    @field_validator("session")
    @classmethod
    def _no_second_way(cls, session: dict[str, Any]) -> dict[str, Any]:
        for key in ("type", "model"):
            if key in session:
                raise ValueError(f"`{key}` does not belong here: the stage sets it")
        return session

    @model_validator(mode="after")
    def _one_gives_the_answers(self) -> Self:
        if self.rules is not None and self.script is not None:
            raise ValueError("either `rules` or `script` gives the answers")
        return self

    @model_validator(mode="after")
    def _can_tell_coughs(self) -> Self:
        chosen = "turn_detection" in self.model_fields_set
        detection = self.turn_detection if chosen else {}
        sort = None if detection is None else detection.get("type", "server_vad")
        if self.false_interruption is not None and sort != "server_vad":
            raise ValueError("`false_interruption` needs `turn_detection: {type: server_vad}`")
        return self

    def session_object(self) -> dict[str, Any]:
        """Return OpenAI's session object with what the options say and nothing else."""
        heard: dict[str, Any] = {"transcription": self.transcription}
        if "turn_detection" in self.model_fields_set:
            heard["turn_detection"] = self.turn_detection
        if self.false_interruption is not None:
            heard["turn_detection"] = {"type": "server_vad", **(self.turn_detection or {}), **_OURS}
        wanted: dict[str, Any] = {
            "type": "realtime",
            "model": self.model,
            "audio": {"input": heard},
        }
        if self.voice is not None:
            wanted["audio"]["output"] = {"voice": self.voice}
        if self.instructions is not None:
            wanted["instructions"] = self.instructions
        if self.tools:
            wanted["tools"] = [tool.declaration() for tool in self.tools]
        return merged(wanted, self.session)

    def own_tools(self) -> list[str]:
        """Return the names of the functions that are run here."""
        own = (tool for tool in self.tools if not isinstance(tool, ServerTool))
        return [tool.called for tool in own]

    def judge(self) -> FalseInterruptions | None:
        """Return what tells words from coughs in one call, if that is wanted."""
        wanted = self.false_interruption
        if wanted is None:
            return None
        return FalseInterruptions(wanted.min_speech_ms, wanted.words_ms)

    def secrets(self) -> list[str]:
        """Return what must not be seen in texts that come back from the server."""
        declared = [tool.declaration() for tool in self.tools]
        found = [tool["authorization"] for tool in declared if "authorization" in tool]
        for tool in declared:
            headers = tool.get("headers")
            if isinstance(headers, dict):
                found += headers.values()
        return [secret for secret in found if isinstance(secret, str) and secret]


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
