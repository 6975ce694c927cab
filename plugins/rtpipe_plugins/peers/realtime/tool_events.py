"""Events of the Realtime peer about tools: functions of ours, and those of MCP servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtpipe import Event, Importance
from rtpipe_plugins.child.process import last_words


@dataclass(frozen=True, kw_only=True)
class ToolCalled(Event):
    """The model calls a function: a command or a function of Python runs, or a program answers.

    Attributes:
        arguments: An object; the text, where what the model wrote is none.
        answered_by: `stage`: it runs here; `program`: whoever hears this and calls `answer_call`.
    """

    type: str = "tool.called"
    call_id: str
    name: str
    arguments: Any
    answered_by: str = "stage"


@dataclass(frozen=True, kw_only=True)
class ToolReturned(Event):
    """It is done; `output` is what the model is told."""

    type: str = "tool.returned"
    call_id: str
    name: str
    duration_ms: float
    output: str


@dataclass(frozen=True, kw_only=True)
class ToolFailed(Event):
    """It failed, took too long or was broken off; the model is told why.

    Attributes:
        reason: What happened; the model is told no more.
        stderr: The end of what a command wrote to its standard error.
        withheld: Names of the environment variables that a command did not get; see `env`.
    """

    importance = Importance.ERROR
    type: str = "tool.failed"
    call_id: str
    name: str
    duration_ms: float
    reason: str
    stderr: str = ""
    withheld: tuple[str, ...] = ()

    def line(self) -> str:
        """See `Event.line`."""
        more = last_words(self.stderr, self.withheld)
        return f"the tool `{self.name}` failed: {self.reason}{more}"


@dataclass(frozen=True, kw_only=True)
class McpToolsListed(Event):
    """The server knows the tools of an MCP server.

    Attributes:
        server_label: The MCP server's, as `tools` has it.
        tools: Their names.
    """

    type: str = "mcp.tools_listed"
    server_label: str
    tools: tuple[str, ...]

    def line(self) -> str:
        """See `Event.line`."""
        return f"the MCP server `{self.server_label}` has {', '.join(self.tools) or 'no tools'}"


@dataclass(frozen=True, kw_only=True)
class McpToolsFailed(Event):
    """The server could not list the tools of an MCP server: the model has none of them.

    Attributes:
        server_label: The MCP server's; "" where the server does not say which.
        item_id: The server's name for the list.
        reason: What the server says of it; "" where it says nothing.
    """

    importance = Importance.ERROR
    type: str = "mcp.tools_failed"
    server_label: str
    item_id: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        which = f"the MCP server `{self.server_label}`" if self.server_label else "an MCP server"
        return f"the tools of {which} could not be listed{_because(self.reason)}"


@dataclass(frozen=True, kw_only=True)
class McpCalled(Event):
    """The server runs a tool of an MCP server, because the model asked for it.

    Attributes:
        item_id: The server's name for the call.
        server_label: The MCP server's.
        name: The tool's.
        arguments: JSON, as the model wrote it.
    """

    type: str = "mcp.called"
    item_id: str
    server_label: str
    name: str
    arguments: str

    def line(self) -> str:
        """See `Event.line`."""
        given = f" with {self.arguments}" if self.arguments else ""
        return f"`{self.name}` of the MCP server `{self.server_label}` runs{given}"


@dataclass(frozen=True, kw_only=True)
class McpReturned(Event):
    """It is done; `output` is what the model is told."""

    type: str = "mcp.returned"
    item_id: str
    server_label: str
    name: str
    output: str

    def line(self) -> str:
        """See `Event.line`."""
        return f"`{self.name}` of the MCP server `{self.server_label}` returned {self.output}"


@dataclass(frozen=True, kw_only=True)
class McpFailed(Event):
    """It failed; the model is told so by the server.

    Attributes:
        item_id: The server's name for the call.
        server_label: The MCP server's.
        name: The tool's.
        reason: What the server says of it; "" where it says nothing.
    """

    importance = Importance.ERROR
    type: str = "mcp.failed"
    item_id: str
    server_label: str
    name: str
    reason: str

    def line(self) -> str:
        """See `Event.line`."""
        which = f"`{self.name}` of the MCP server `{self.server_label}`"
        return f"{which} failed{_because(self.reason)}"


@dataclass(frozen=True, kw_only=True)
class McpApprovalRequested(Event):
    """The server asks whether it may run a tool of an MCP server; `approve` and `deny` answer.

    Attributes:
        approval_request_id: The server's name for the request.
        server_label: The MCP server's.
        name: The tool's.
        arguments: JSON, as the model wrote it.
    """

    importance = Importance.NOTICE
    type: str = "mcp.approval_requested"
    approval_request_id: str
    server_label: str
    name: str
    arguments: str

    def line(self) -> str:
        """See `Event.line`."""
        return (
            f"may `{self.name}` of the MCP server `{self.server_label}` run"
            f" with {self.arguments or 'no arguments'}?"
        )


@dataclass(frozen=True, kw_only=True)
class McpApprovalAnswered(Event):
    """It was approved or denied.

    Attributes:
        approval_request_id: The server's name for the request.
        server_label: The MCP server's.
        name: The tool's.
        approve: Whether it may run.
        reason: Why, if anybody said.
    """

    importance = Importance.NOTICE
    type: str = "mcp.approval_answered"
    approval_request_id: str
    server_label: str
    name: str
    approve: bool
    reason: str = ""

    def line(self) -> str:
        """See `Event.line`."""
        what = "approved" if self.approve else "denied"
        which = f"`{self.name}` of the MCP server `{self.server_label}`"
        return f"{which} was {what}{_because(self.reason)}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


TOOL_EVENTS: tuple[type[Event], ...] = (
    ToolCalled,
    ToolReturned,
    ToolFailed,
    McpToolsListed,
    McpToolsFailed,
    McpCalled,
    McpReturned,
    McpFailed,
    McpApprovalRequested,
    McpApprovalAnswered,
)
"""What the peer says of tools."""
