"""What a user may say about the conversation, and the session object that it amounts to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, field_validator

from rtpipe import InputPath, Options
from rtpipe_plugins.realtime.account import http_root

if TYPE_CHECKING:
    from collections.abc import Mapping


class IceServer(Options):
    """A STUN or TURN server."""

    urls: str | list[str]
    """`stun:HOST:PORT` or `turn:HOST:PORT?transport=udp`; one or several."""
    username: str | None = None
    """For TURN."""
    credential: SecretStr | None = None
    """For TURN."""


class RealtimeOptions(Options):
    """A conversation with a Realtime model over WebRTC."""

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
    tools: list[dict[str, Any]] = Field(default=[])
    """Functions that the model may call, as in OpenAI's session object."""
    session: dict[str, Any] = Field(default={})
    """Any other key of OpenAI's session object under its own name; it wins over the options above.
    """
    greeting: str | None = None
    """What the model says first, without being spoken to."""
    ice_servers: list[IceServer] = Field(default=[])
    """STUN and TURN servers. OpenAI needs none, and an unreachable one delays each call by 5 s."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """How long setting up the call may take, from the offer to the session."""
    rules: InputPath | None = None
    """`embedded`: the answers, a YAML file. Default: a museum's information desk."""
    model_path: InputPath | None = None
    """`embedded`: the folder of the recogniser's model. Default: the one that `speech` installs."""

    @field_validator("session")
    @classmethod
    def _no_second_way(cls, session: dict[str, Any]) -> dict[str, Any]:
        for key in ("type", "model"):
            if key in session:
                raise ValueError(f"`{key}` does not belong here: the stage sets it")
        return session

    def session_object(self) -> dict[str, Any]:
        """Return OpenAI's session object with what the options say and nothing else."""
        heard: dict[str, Any] = {"transcription": self.transcription}
        if "turn_detection" in self.model_fields_set:
            heard["turn_detection"] = self.turn_detection
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
            wanted["tools"] = self.tools
        return merged(wanted, self.session)

    def secrets(self) -> list[str]:
        """Return what must not be seen in texts that come back from the server."""
        found = [tool["authorization"] for tool in self.tools if "authorization" in tool]
        for tool in self.tools:
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
