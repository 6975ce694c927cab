"""What the model may call: functions of Python, commands, and what only the server knows."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, cast

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    TypeAdapter,
)
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from rtpipe import Options, PluginError
from rtpipe_plugins.child.environment import GivenBack
from rtpipe_plugins.child.function import TargetName, function_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ToolName: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class _Untitled(GenerateJsonSchema):
    """Leaves out the titles: a model reads the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - for none
        return False


@dataclass(frozen=True, slots=True)
class _Function:
    """A function, and what its signature says."""

    function: Callable[..., Any]
    adapter: TypeAdapter[Any]
    parameters: dict[str, Any]


class PythonTool(Options):
    """A function that is called when the model asks for it."""

    python: TargetName
    """`module:function`; the module is installed, in a folder of PYTHONPATH or a file beside this
    one. What the model is told about its parameters comes from the type hints; each argument is
    checked against them. A plain function runs in a thread, an `async def` on the event loop."""
    name: ToolName | None = None
    """What the model calls it. Default: the function's name."""
    description: str | None = None
    """What it is for. Default: its docstring."""
    timeout_s: float = Field(default=10.0, gt=0)
    """How long it may take; after that the model is told that it failed."""
    _folder: Path | None = PrivateAttr(default=None)
    _loaded: _Function | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any) -> None:
        """Remember where the pipeline file lies."""
        self._folder = (context or {}).get("folder")

    @property
    def folder(self) -> Path | None:
        """Where the pipeline file lies."""
        return self._folder

    def load(self) -> None:
        """Import the function, unless that was done, and read its signature.

        Raises:
            PluginError: There is none, or it cannot be called by a model.
        """
        self._use()

    @property
    def is_async(self) -> bool:
        """Whether the function is an `async def`."""
        return inspect.iscoroutinefunction(self._use().function)

    def call(self, arguments: str) -> Any:
        """Call the function with the `arguments`, a JSON object; returns what it returns.

        Raises:
            ValidationError: The arguments are not what it takes.
        """
        return self._use().adapter.validate_json(arguments)

    @property
    def called(self) -> str:
        """What the model calls it."""
        return self.name or self.python.rpartition(":")[2].rpartition(".")[2]

    def declaration(self) -> dict[str, Any]:
        """Return what the model is told about it, as in OpenAI's session object."""
        used = self._use()
        described = self.description or inspect.getdoc(used.function) or ""
        return _declaration(self.called, described, used.parameters)

    def _use(self) -> _Function:
        if self._loaded is None:
            self._loaded = _read(self.python, function_at(self.python, self._folder))
        return self._loaded


def _read(name: str, function: Callable[..., Any]) -> _Function:
    try:
        # A function is what the adapter takes for a type; its annotation does not know.
        adapter: TypeAdapter[Any] = TypeAdapter(cast("Any", function))
        parameters = adapter.json_schema(schema_generator=_Untitled)
    except (PydanticUserError, NameError) as error:
        reason = str(error).splitlines()[0]
        raise PluginError(f"the parameters of {name} have no JSON schema: {reason}") from error
    if parameters.get("type") != "object":
        raise PluginError(f"{name} has parameters without a name: the model gives each by name")
    return _Function(function, adapter, parameters)


class CommandTool(Options):
    """A program that is run when the model asks for it."""

    command: list[str] = Field(min_length=1)
    """The program and its arguments; no shell stands between. It is given the model's arguments as
    a JSON object on its standard input; its standard output is what the model is told."""
    name: ToolName
    """What the model calls it."""
    description: str = ""
    """What it is for."""
    parameters: dict[str, Any] = Field(default={"type": "object", "properties": {}})
    """The JSON schema of the arguments. Only the model is told: the program must check them."""
    timeout_s: float = Field(default=10.0, gt=0)
    """How long it may take; after that it is ended, and the model is told that it failed."""
    env: GivenBack = ()

    @property
    def called(self) -> str:
        """What the model calls it."""
        return self.name

    def declaration(self) -> dict[str, Any]:
        """Return what the model is told about it, as in OpenAI's session object."""
        return _declaration(self.name, self.description, self.parameters)


class FunctionTool(Options):
    """A function that a program answers: a route, a page, whoever calls `answer_call`."""

    model_config = ConfigDict(extra="allow")

    type: Literal["function"]
    """`function`; its other keys go to the server as they stand."""
    name: ToolName
    """What the model calls it."""
    timeout_s: float = Field(default=10.0, gt=0)
    """How long the answer may take; after that the model is told that it failed."""

    @property
    def called(self) -> str:
        """What the model calls it."""
        return self.name

    def declaration(self) -> dict[str, Any]:
        """Return it as OpenAI's session object has it."""
        return self.model_dump(exclude_unset=True, exclude={"timeout_s"})


class ServerTool(Options):
    """A tool as OpenAI's session object has it; every other key goes to the server as it stands."""

    model_config = ConfigDict(extra="allow")

    type: str
    """`mcp`: the server calls it itself."""
    approve: bool | None = None
    """Whether to approve or deny each call of which the server asks whether it may run it; what
    `require_approval` asks for. Default: it waits for the actions `approve` and `deny`."""

    @property
    def called(self) -> None:
        """What the model calls it: the server knows."""
        return

    @property
    def label(self) -> str:
        """The MCP server's label."""
        return str((self.model_extra or {}).get("server_label", ""))

    def declaration(self) -> dict[str, Any]:
        """Return it as OpenAI's session object has it."""
        return self.model_dump(exclude_unset=True, exclude={"approve"})


def _sort(tool: Any) -> str:
    """Return which sort of tool is meant, so that a mistake in it is told as one in that sort."""
    given = tool if isinstance(tool, dict) else getattr(tool, "model_fields_set", ())
    if "python" in given:
        return "PythonTool"
    if "command" in given:
        return "CommandTool"
    type = tool.get("type") if isinstance(tool, dict) else getattr(tool, "type", "")
    return "FunctionTool" if type == "function" else "ServerTool"


Tool: TypeAlias = Annotated[
    Annotated[PythonTool, Tag("PythonTool")]
    | Annotated[CommandTool, Tag("CommandTool")]
    | Annotated[FunctionTool, Tag("FunctionTool")]
    | Annotated[ServerTool, Tag("ServerTool")],
    Discriminator(_sort),
]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model calls a function, which is to be answered here.

    Attributes:
        call_id: Which call.
        name: The function's.
        arguments: JSON, as the model wrote it: it need not be right.
    """

    call_id: str
    name: str
    arguments: str


def distinct(tools: Sequence[Tool]) -> Sequence[Tool]:
    """Return `tools`.

    Raises:
        ValueError: Two have the same name.
    """
    names = [tool.called for tool in tools if tool.called is not None]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two tools are called `{name}`")
    return tools


def _declaration(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    declared = {"type": "function", "name": name, "parameters": parameters}
    return {**declared, "description": description} if description else declared
