"""MCP: tools that the server runs by itself; told in words, and approved or denied here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rtpipe import Recent, StageError
from rtpipe_plugins.peers.realtime.dialects.openai.messages import object_of, objects_of, text_of
from rtpipe_plugins.peers.realtime.tool_events import (
    McpApprovalAnswered,
    McpApprovalRequested,
    McpCalled,
    McpFailed,
    McpReturned,
    McpToolsFailed,
    McpToolsListed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rtpipe import Event
    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.commands import Commands

_REMEMBERED = 256  # items


@dataclass(slots=True)
class _McpItem:
    """A list of tools, or a call of one, as far as the server has told of it."""

    id: str
    server_label: str = ""
    name: str = ""
    arguments: str = ""
    called: bool = False
    failed: bool = False
    over: bool = False


class McpTools:
    """Reacts to the events about MCP servers.

    Args:
        commands: Makes the commands.
        approvals: Whether a request of an MCP server is approved, by its label; those of others
            wait for `decide`.
    """

    def __init__(self, commands: Commands, approvals: Mapping[str, bool]) -> None:
        self._commands = commands
        self._approvals = approvals
        self._items: Recent[str, _McpItem] = Recent(_REMEMBERED)
        self._asked: Recent[str, None] = Recent(_REMEMBERED)
        self._waiting: Recent[str, McpApprovalRequested] = Recent(_REMEMBERED)
        self.reactions: Mapping[str, Callable[[Mapping[str, Any]], list[Output]]] = {
            "conversation.item.added": self._item,
            "conversation.item.created": self._item_done,
            "conversation.item.done": self._item_done,
            "response.output_item.added": self._item,
            "response.output_item.done": self._item_done,
            "response.done": self._response_done,
            "response.mcp_call_arguments.done": self._arguments,
            "response.mcp_call.in_progress": self._called,
            "response.mcp_call.completed": self._called,
            "response.mcp_call.failed": self._call_failed,
            "mcp_list_tools.failed": self._list_failed,
        }
        """By the event's name."""

    @property
    def awaits_decision(self) -> bool:
        """See `Conversation.awaits_decision`."""
        return bool(self._waiting)

    def decide(self, *, approve: bool, name: str, request_id: str, reason: str) -> list[Output]:
        """See `Conversation.decide`."""
        for id, request in self._waiting.items():
            if name in {"", request.name} and request_id in {"", id}:
                return self._answer(request, approve=approve, reason=reason)
        which = f"of `{name}` " if name else ""
        raise StageError(f"no request {which}waits for approval")

    def _answer(
        self, request: McpApprovalRequested, *, approve: bool, reason: str = ""
    ) -> list[Output]:
        self._waiting.pop(request.approval_request_id, None)
        told = {"reason": reason} if reason else {}
        item = {
            "type": "mcp_approval_response",
            "approval_request_id": request.approval_request_id,
            "approve": approve,
            **told,
        }
        answered = McpApprovalAnswered(
            approval_request_id=request.approval_request_id,
            server_label=request.server_label,
            name=request.name,
            approve=approve,
            reason=reason,
        )
        return [self._commands.item(item), answered]

    def _item(self, event: Mapping[str, Any]) -> list[Output]:
        self._read(object_of(event, "item"))
        return []

    def _item_done(self, event: Mapping[str, Any]) -> list[Output]:
        return self._take(object_of(event, "item"))

    def _response_done(self, event: Mapping[str, Any]) -> list[Output]:
        outputs: list[Output] = []
        for given in objects_of(object_of(event, "response"), "output"):
            outputs += self._take(given)
        for item in list(self._items.values()):
            if item.failed and not item.over:  # the server has not said why, and will not
                outputs += self._over(item, {"error": {}})
        return outputs

    def _take(self, given: Mapping[str, Any]) -> list[Output]:
        """Take an item that is complete."""
        match text_of(given, "type"):
            case "mcp_list_tools":
                return list(self._listed(self._read(given), given))
            case "mcp_call":
                item = self._read(given)
                return [*self._begin(item), *self._over(item, given)]
            case "mcp_approval_request":
                return self._approval(given)
        return []

    def _read(self, given: Mapping[str, Any]) -> _McpItem:
        """Remember what an item says of itself."""
        item = self._known(text_of(given, "id"))
        if text_of(given, "type") in {"mcp_list_tools", "mcp_call"}:
            item.server_label = text_of(given, "server_label") or item.server_label
            item.name = text_of(given, "name") or item.name
            item.arguments = text_of(given, "arguments") or item.arguments
            self._items[item.id] = item
        return item

    def _known(self, id: str) -> _McpItem:
        return self._items.get(id) or _McpItem(id)

    def _listed(self, item: _McpItem, given: Mapping[str, Any]) -> list[Event]:
        if item.over:
            return []
        item.over = True
        if given.get("error"):
            return [self._not_listed(item, given)]
        tools = tuple(text_of(tool, "name") for tool in objects_of(given, "tools"))
        return [McpToolsListed(server_label=item.server_label, tools=tools)]

    def _not_listed(self, item: _McpItem, given: Mapping[str, Any]) -> McpToolsFailed:
        return McpToolsFailed(
            server_label=item.server_label, item_id=item.id, reason=_reason(given)
        )

    def _list_failed(self, event: Mapping[str, Any]) -> list[Output]:
        item = self._known(text_of(event, "item_id"))
        if item.over:
            return []
        item.over = True
        if item.id:
            self._items[item.id] = item
        return [self._not_listed(item, event)]

    def _arguments(self, event: Mapping[str, Any]) -> list[Output]:
        item = self._known(text_of(event, "item_id"))
        item.arguments = text_of(event, "arguments") or item.arguments
        return [*self._begin(item)]

    def _called(self, event: Mapping[str, Any]) -> list[Output]:
        return [*self._begin(self._known(text_of(event, "item_id")))]

    def _begin(self, item: _McpItem) -> list[Event]:
        if item.called or not item.name:
            return []
        item.called = True
        return [
            McpCalled(
                item_id=item.id,
                server_label=item.server_label,
                name=item.name,
                arguments=item.arguments,
            )
        ]

    def _call_failed(self, event: Mapping[str, Any]) -> list[Output]:
        item = self._known(text_of(event, "item_id"))
        item.failed = True
        if item.id:
            self._items[item.id] = item
        return [*self._begin(item)]

    def _over(self, item: _McpItem, given: Mapping[str, Any]) -> list[Event]:
        """Tell once how a call went; its item has the output, or the error."""
        if item.over:
            return []
        item.over = True
        if item.failed or given.get("error"):
            return [
                McpFailed(
                    item_id=item.id,
                    server_label=item.server_label,
                    name=item.name,
                    reason=_reason(given),
                )
            ]
        return [
            McpReturned(
                item_id=item.id,
                server_label=item.server_label,
                name=item.name,
                output=text_of(given, "output"),
            )
        ]

    def _approval(self, given: Mapping[str, Any]) -> list[Output]:
        id = text_of(given, "id")
        if not id or id in self._asked:
            return []
        self._asked[id] = None
        request = McpApprovalRequested(
            approval_request_id=id,
            server_label=text_of(given, "server_label"),
            name=text_of(given, "name"),
            arguments=text_of(given, "arguments"),
        )
        self._waiting[id] = request
        decided = self._approvals.get(request.server_label)
        if decided is None:
            return [request]
        return [request, *self._answer(request, approve=decided)]


def _reason(given: Mapping[str, Any]) -> str:
    """Return what the server says of a failure."""
    error = object_of(given, "error")
    return (
        text_of(error, "message")
        or text_of(error, "code")
        or (json.dumps(error, ensure_ascii=False)[:300] if error else "")
    )
