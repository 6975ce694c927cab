"""What a client may ask of a response: `response.create` checked and turned into a `Response`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_realtime_server.session import fields
from rtpipe_realtime_server.session.grammar import (
    array,
    boolean,
    mapping,
    nullable,
    one_of,
    section,
    text,
)
from rtpipe_realtime_server.session.rejection import Rejected, missing_parameter
from rtpipe_realtime_server.talk.items import make_item
from rtpipe_realtime_server.talk.responses import Response

if TYPE_CHECKING:
    from rtpipe_realtime_server.session.ids import NewId
    from rtpipe_realtime_server.session.session import Session
    from rtpipe_realtime_server.talk.conversation import ConversationItem, ConversationItems

_MOST_METADATA = 16
_LONGEST_KEY = 64
_LONGEST_VALUE = 512


def _metadata(_current: Any, given: Any, path: str) -> Any:
    mapping(None, given, path)
    if len(given) > _MOST_METADATA:
        raise Rejected(f"Invalid '{path}': at most {_MOST_METADATA} pairs.", param=path)
    for key, value in given.items():
        text(None, value, f"{path}.{key}")
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise Rejected(
                f"Invalid '{path}': keys have at most {_LONGEST_KEY} characters, values "
                f"{_LONGEST_VALUE}.",
                param=path,
            )
    return given


_GRAMMAR = section(
    {
        "conversation": nullable(one_of("auto", "none")),
        "metadata": nullable(_metadata),
        "output_modalities": nullable(fields.output_modalities),
        "instructions": nullable(text),
        "audio": nullable(
            section(
                {
                    "output": nullable(
                        section({"format": fields.audio_format, "voice": fields.voice})
                    )
                }
            )
        ),
        "tools": nullable(array(fields.tool)),
        "tool_choice": nullable(fields.tool_choice),
        "max_output_tokens": nullable(fields.max_output_tokens),
        "input": nullable(array(mapping)),
        "prompt": nullable(mapping),
        "reasoning": nullable(mapping),
        "parallel_tool_calls": nullable(boolean),
    }
)


def make_response(
    given: Any, session: Session, conversation: ConversationItems, new_id: NewId, *, spoke: bool
) -> Response:
    """Return the response that a client, or the end of a turn, asks for.

    Args:
        given: The `response` object of the client's event; None for all the session's settings.
        session: Gives what the client left out.
        conversation: Gives the questions to answer, unless the client brings its own input.
        new_id: Makes ids.
        spoke: The assistant has spoken, so its voice is fixed.

    Raises:
        Rejected: It is not a proper request.
    """
    asked = {} if given is None else _GRAMMAR({}, given, "response")
    settings = session.snapshot()
    output = settings["audio"]["output"]
    own = (asked.get("audio") or {}).get("output") or {}
    if spoke and own.get("voice", output["voice"]) != output["voice"]:
        raise fields.voice_locked("response.audio.output.voice")
    in_conversation = asked.get("conversation") != "none"
    brought = asked.get("input")
    choice = _given(asked, settings, "tool_choice")
    return Response(
        id=new_id("resp"),
        conversation_id=conversation.id if in_conversation else None,
        modality=(asked.get("output_modalities") or settings["output_modalities"])[0],
        instructions=_given(asked, settings, "instructions"),
        voice=_voice_name(own.get("voice", output["voice"])),
        audio_format=own.get("format", output["format"]),
        max_output_tokens=_given(asked, settings, "max_output_tokens"),
        metadata=asked.get("metadata"),
        tools=_tools(_given(asked, settings, "tools"), choice),
        must_call=choice not in ("auto", "none"),
        context=(
            conversation.unanswered()
            if brought is None
            else _context(brought, conversation, new_id)
        ),
    )


def _context(
    brought: list[Any], conversation: ConversationItems, new_id: NewId
) -> list[ConversationItem]:
    items = []
    for index, given in enumerate(brought):
        path = f"response.input[{index}]"
        if given.get("type") == "item_reference":
            if "id" not in given:
                raise missing_parameter(f"{path}.id")
            items.append(conversation.find(str(given["id"])))
        else:
            items.append(make_item(given, new_id, path))
    return [item for item in items if item.asks]


def _voice_name(voice: Any) -> str:
    return str(voice["id"] if isinstance(voice, dict) else voice)


def _given(asked: dict[str, Any], settings: dict[str, Any], key: str) -> Any:
    return settings[key] if asked.get(key) is None else asked[key]


def _tools(declared: list[dict[str, Any]], choice: Any) -> tuple[dict[str, Any], ...]:
    """Return the functions that the response may call."""
    if choice == "none":
        return ()
    named = choice.get("name") if isinstance(choice, dict) else None
    functions = (tool for tool in declared if tool["type"] == "function")
    return tuple(tool for tool in functions if named in (None, tool["name"]))
