"""The section `control:` of a pipeline file."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from rtpipe import InputPath, Options
from rtpipe_control.addresses import HOST, PORT, is_loopback, parse_address


class TlsOptions(Options):
    """A certificate, so that the page is served by https."""

    certificate: InputPath
    """PEM file with the certificate and those that it is signed by."""
    key: InputPath
    """PEM file with its private key."""


class ControlOptions(Options):
    """Serves the page and the HTTP interface of the running pipeline.

    Without this section there is the private socket alone, which `rtpipe ps` and its like use.
    """

    main: ClassVar[str | None] = "listen"

    listen: str = Field(f"{HOST}:{PORT}", coerce_numbers_to_str=True)
    """HOST:PORT, or a port of 127.0.0.1; port 0 takes a free one."""
    token: SecretStr = SecretStr("")
    """What a caller must show, as `Authorization: Bearer TOKEN`. Needed wherever others than this
    machine can reach it."""
    view_token: SecretStr = SecretStr("")
    """A second one, with which one may look and listen but change nothing."""
    hosts: tuple[str, ...] = ()
    """Further names under which a browser reaches it, where a proxy stands before it:
    `kiosk.example.org`."""
    tls: TlsOptions | None = None
    """Certificate and key, for https."""

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parse_address(value)
        return value

    @model_validator(mode="after")
    def _is_guarded(self) -> ControlOptions:
        host, _ = parse_address(self.listen)
        if not is_loopback(host) and not self.token.get_secret_value():
            raise ValueError(
                f"`listen: {self.listen}` lets others on the network steer this pipeline: "
                'add `token: "${env:RTPIPE_TOKEN}"`, or listen on 127.0.0.1'
            )
        if self.view_token.get_secret_value() and not self.token.get_secret_value():
            raise ValueError("a `view_token` guards nothing without a `token`")
        if self.token == self.view_token and self.token.get_secret_value():
            raise ValueError("`token` and `view_token` are the same: then either may change things")
        return self
