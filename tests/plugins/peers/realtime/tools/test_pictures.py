"""Pictures for the model."""

from __future__ import annotations

import base64
import json
import logging
from typing import TYPE_CHECKING

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from rtpipe import StageError
from rtpipe_plugins.peers.realtime.dialects.conversation import Command
from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
from rtpipe_plugins.peers.realtime.tools.pictures import data_url

if TYPE_CHECKING:
    from pathlib import Path

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
CLIENT_EVENT: TypeAdapter[object] = TypeAdapter(RealtimeClientEvent)


@pytest.mark.parametrize(("data", "format"), [(PNG, "image/png"), (JPEG, "image/jpeg")])
def test_a_file_becomes_a_data_url(tmp_path: Path, data: bytes, format: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(data)
    url = data_url(str(path))
    head, _, body = url.partition(",")
    assert head == f"data:{format};base64"
    assert base64.b64decode(body) == data
    assert data_url(url) == url


def test_what_cannot_be_shown_is_said(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    with pytest.raises(StageError, match="No such file"):
        data_url(str(path))
    path.write_bytes(b"GIF89a")
    with pytest.raises(StageError, match="no picture that a model takes"):
        data_url(str(path))
    path.write_bytes(PNG + bytes(300_000))
    with pytest.raises(StageError, match=r"has 300 kB: at most 190 kB fit"):
        data_url(str(path))
    with pytest.raises(StageError, match="at most 190 kB"):
        data_url("data:image/png;base64," + "A" * 400_000)


def test_the_largest_picture_fits_into_one_message(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PNG + bytes(190_000 - len(PNG)))
    (command,) = _protocol().image(data_url(str(path)), "")
    assert isinstance(command, Command)
    assert len(command.text().encode()) < 262_144


def test_a_picture_with_a_question_is_answered() -> None:
    outputs = _protocol().image("data:image/png;base64,AAAA", "What is this?")
    sent = [output for output in outputs if isinstance(output, Command)]
    for command in sent:
        CLIENT_EVENT.validate_json(command.text(), strict=True)
    item, create = (json.loads(command.text()) for command in sent)
    assert [part["type"] for part in item["item"]["content"]] == ["input_image", "input_text"]
    assert create["type"] == "response.create"


def _protocol() -> RealtimeProtocol:
    log = logging.getLogger("rtpipe.stage.realtime")
    protocol = RealtimeProtocol({}, given=lambda: True, mask=str, log=log)
    protocol.give_up_waiting()
    return protocol
