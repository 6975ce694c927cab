"""What a user may say about the conversation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator, model_validator

from rtpipe import Backoff, EventGlob, InputPath, Options
from rtpipe_plugins.peers.realtime.tools.declarations import ServerTool, Tool, distinct
from rtpipe_webrtc.options import IceServer, JitterOptions, OpusOptions

CHANGEABLE = frozenset(
    (
        "model",
        "voice",
        "instructions",
        "turn_detection",
        "transcription",
        "tools",
        "session",
        "interrupt_on",
        "greeting",
        "patience_s",
        "reconnect",
        "roll_over",
    )
)
"""What may change while the conversation goes on."""
_PATIENCE_S = 300.0
"""However long a server says that it wants to be left alone."""


class FalseInterruption(Options):
    """What is taken for words, and what for a cough."""

    min_speech_ms: float = Field(default=500.0, ge=0, le=10_000)
    """What lasts so long is words."""
    words_ms: float = Field(default=1000.0, ge=0, le=10_000)
    """How long after a shorter noise its transcript is waited for; one with a word in it
    interrupts. Without `transcription` nothing is waited for."""


class Reconnect(Options):
    """How a lost call is called again, while the pipeline goes on.

    A call that stood for less than `max_s` is one more failed attempt: the pauses grow on.
    """

    initial_s: float = Field(default=0.5, gt=0)
    """The first pause is chance between none and this; each further one may be twice as long."""
    max_s: float = Field(default=15.0, gt=0)
    """No pause is longer, except where the server asks for it."""
    give_up_s: float | None = Field(default=None, gt=0)
    """End the stage when there has been no call for so long, those aside that stood for less than
    `max_s`. `null`: never."""

    @property
    def backoff(self) -> Backoff:
        """The pauses: full jitter, so that the clients of a server that was away spread out."""
        return Backoff(self.initial_s, self.max_s, jitter=1.0, patience_s=_PATIENCE_S)


class RollOver(Options):
    """How the next call takes over before the server ends this one."""

    before_s: float = Field(default=60.0, gt=0)
    """So long before the session's end the next call is made. A session shorter than two and a half
    times this gives 40 % of its length."""
    latest_s: float = Field(default=15.0, gt=0)
    """So long before the end the calls change places, whoever is speaking; 15 % of a session that
    is short."""


class Budget(Options):
    """When to hang up for good, so that a forgotten call costs no fortune."""

    minutes: float | None = Field(default=None, gt=0)
    """Minutes that calls may last, all together."""
    output_tokens_per_hour: int | None = Field(default=None, gt=0)
    """Tokens that the model may generate within any sixty minutes."""


def http_root(url: str) -> str:
    """Return `url` without a slash at its end.

    Raises:
        ValueError: It is not the address of a server.
    """
    try:
        parts = urlsplit(url)
        web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        fits = web and not (parts.username or parts.query or parts.fragment)
    except ValueError:  # a port that is no number
        fits = False
    if not fits:
        raise ValueError("must look like https://HOST/v1")
    return url.rstrip("/")


class RealtimeOptions(Options):
    """A conversation with a Realtime model."""

    main: ClassVar[str | None] = "model"
    dialect: ClassVar[str] = "openai"
    """What is spoken with the server; see `dialects.choice`."""

    provider: Literal["openai", "azure", "embedded"] = "openai"
    """Whose server: `openai` is also any server that speaks its protocol, `embedded` runs one here,
    offline."""
    base_url: Annotated[str, AfterValidator(http_root)] | None = None
    """Default: OPENAI_BASE_URL, else https://api.openai.com/v1. Azure: AZURE_OPENAI_ENDPOINT."""
    api_key: SecretStr | None = None
    """Default: OPENAI_API_KEY; Azure: AZURE_OPENAI_API_KEY. A key `ek_…` is an ephemeral one, whose
    maker has already chosen the session. A server that `base_url` names is asked without, where
    there is none."""
    ephemeral: bool = False
    """Make the call with an ephemeral key that is asked for first. Azure always does."""
    transport: Literal["webrtc", "websocket", "memory"] = "webrtc"
    """How the call travels: `webrtc` bears a bad network, `websocket` passes where UDP does not.
    `memory` is for tests: a call with the `script` of the embedded server, without a network and
    on whatever clock the pipeline has."""
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
    interrupt_on: EventGlob | tuple[EventGlob, ...] = ()
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
    dead_after_s: float = Field(default=10.0, ge=1, le=3600)
    """So long nothing at all may come from the server before the call is taken for lost (s): no
    sound, no event, no answer to a ping. One that is only slow answers in time; where the network
    says that nobody is there, the call is lost at once."""
    patience_s: float = Field(default=45.0, gt=0)
    """At the end of the input: how long nothing may come of an answer that the server works on. One
    that shows no sign of work has 20 s at the most. What is given up fails with exit code 75."""
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
    def _stays_in_memory(self) -> Self:
        if self.transport == "memory" and (self.provider != "embedded" or self.script is None):
            raise ValueError("`transport: memory` needs `provider: embedded` and a `script`")
        if self.transport == "memory" and self.ephemeral:
            raise ValueError("`transport: memory` has no keys to ask for: leave `ephemeral` out")
        return self

    @model_validator(mode="after")
    def _can_tell_coughs(self) -> Self:
        chosen = "turn_detection" in self.model_fields_set
        detection = self.turn_detection if chosen else {}
        sort = None if detection is None else detection.get("type", "server_vad")
        if self.false_interruption is not None and sort != "server_vad":
            raise ValueError("`false_interruption` needs `turn_detection: {type: server_vad}`")
        return self

    def own_tools(self) -> list[str]:
        """Return the names of the functions that are answered here."""
        own = (tool for tool in self.tools if not isinstance(tool, ServerTool))
        return [tool.called for tool in own]

    def approvals(self) -> dict[str, bool]:
        """Return which MCP servers, by their labels, are approved or denied whatever they ask."""
        mcp = (tool for tool in self.tools if isinstance(tool, ServerTool))
        return {tool.label: tool.approve for tool in mcp if tool.approve is not None}

    def secrets(self) -> list[str]:
        """Return what must not be seen in texts that come back from the server."""
        declared = [tool.declaration() for tool in self.tools if isinstance(tool, ServerTool)]
        found = [tool["authorization"] for tool in declared if "authorization" in tool]
        for tool in declared:
            headers = tool.get("headers")
            if isinstance(headers, dict):
                found += headers.values()
        return [secret for secret in found if isinstance(secret, str) and secret]
