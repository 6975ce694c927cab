"""A server for signalling: answers as a test says, and keeps what it was asked."""

from __future__ import annotations

import json
import logging
from typing import Any

from aiohttp import web
from pydantic import SecretStr

from rtpipe_plugins.peers.realtime.account import Account, Mask
from rtpipe_plugins.peers.realtime.dialects.openai.signaling import OfferForm, RealtimeSignaling

LOG = logging.getLogger("rtpipe.stage.realtime")
KEY = "sk-canary-0123456789"
OFFER = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"
ANSWER = "v=0\r\ns=answer\r\n"
SESSION = {"type": "realtime", "model": "gpt-realtime-2.1", "instructions": "Grüß Gott"}


class Server:
    """Answers every request as the test says, and keeps what it got."""

    def __init__(self) -> None:
        self.requests: list[tuple[web.Request, bytes]] = []
        self.replies: dict[str, Any] = {}
        self.base_url = ""
        self.form: OfferForm | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request, await request.read()))
        reply = self.replies[request.path]
        return await reply(request) if callable(reply) else reply

    def reply(self, path: str, status: int = 201, text: str = ANSWER, **headers: str) -> None:
        async def respond(_: web.Request) -> web.Response:
            return web.Response(status=status, text=text, headers=headers)

        self.replies[f"/v1/realtime/{path}"] = respond

    def error(self, status: int, message: str, code: str | None) -> None:
        body = {"error": {"message": message, "type": "x", "param": None, "code": code}}
        self.reply("calls", status, json.dumps(body))

    def signaling(self, key: str = KEY, provider: str = "openai", **options: Any) -> Any:
        account = Account(provider, self.base_url, SecretStr(key))
        settings = {"ephemeral": False, "timeout_s": 10.0} | options
        self.form = self.form or OfferForm(account)
        return RealtimeSignaling(account, SESSION, self.form, mask=Mask([key]), log=LOG, **settings)


def signaling_with(account: Account) -> RealtimeSignaling:
    form = OfferForm(account)
    return RealtimeSignaling(
        account, SESSION, form, ephemeral=False, timeout_s=5, mask=str, log=LOG
    )
