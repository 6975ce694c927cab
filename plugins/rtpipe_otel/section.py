"""The section `otel:` of a pipeline file."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from rtpipe import InputPath, Options

_PATH = "/v1/traces"


class OtelOptions(Options):
    """Sends a trace of each conversation to an OpenTelemetry receiver, as OTLP over HTTP.

    A conversation is a trace, each turn a span in it, and what the visitor waited for stands below
    the turn, part by part. Needs `pip install 'rtpipe-media[otel]'`.
    """

    main: ClassVar[str | None] = "endpoint"

    endpoint: SecretStr = SecretStr("http://127.0.0.1:4318")
    """The receiver, http:// or https://; `/v1/traces` is put behind it. It is not shown, since it
    may hold a token. Empty: off."""
    headers: dict[str, SecretStr] = Field(default={})
    """Headers to send along, as `Authorization`; their values are not shown."""
    ca: InputPath | None = None
    """PEM file with the certificates to trust in the place of the system's, for https."""
    service: str = Field("rtpipe", min_length=1)
    """`service.name`, by which the receiver sorts; the pipeline's name is told beside it."""
    attributes: dict[str, str] = Field(default={})
    """What else to tell with every trace, as `deployment.environment.name`."""
    words: bool = False
    """Whether what visitor and model say, and what functions are given and return, is sent too."""
    idle_s: float = Field(60.0, ge=5, le=86_400)
    """How long nobody must have spoken for a conversation to be over (s)."""
    timeout_s: float = Field(10.0, gt=0, le=300)
    """How long the receiver may take over an answer (s)."""
    queue: int = Field(2048, ge=64, le=100_000)
    """How many spans wait at most while the receiver is away; the oldest go first."""

    @property
    def address(self) -> str:
        """Where traces are posted to; "" where nowhere."""
        address = self.endpoint.get_secret_value()
        if not address:
            return ""
        parts = urlsplit(address)
        path = parts.path.rstrip("/").removesuffix(_PATH)
        return parts._replace(path=f"{path}{_PATH}").geturl()

    @field_validator("endpoint")
    @classmethod
    def _is_a_web_address(cls, endpoint: SecretStr) -> SecretStr:
        address = endpoint.get_secret_value()
        try:
            parts = urlsplit(address)
            good = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
        except ValueError:
            good = False
        if address and not good:
            raise ValueError("it must begin with http:// or https:// and a host, or be empty")
        return endpoint

    @field_validator("headers")
    @classmethod
    def _fit_on_a_line(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            told = f"{name}{value.get_secret_value()}"
            if not name.isascii() or not name or set(name) & set(" :") or set(told) & set("\r\n\0"):
                raise ValueError(f"{name!r} is no header, or its value has several lines")
        return headers
