"""Options that mean more than their text: files, names of what is in the pipeline; and their words.

A docstring under an attribute describes it.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import os
import sys
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, ValidationInfo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema


_LONGEST_NAME = 255
"""Bytes of one name in a path, on every common file system."""
_LONGEST_PATH = 4095
"""Bytes of a path that Linux takes."""


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    if folder is not None:
        path = Path(folder, os.path.expanduser(path))  # noqa: PTH111 - that of Path raises
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _LONGEST_NAME:
        raise ValueError(f"a name in a path has {_LONGEST_NAME} bytes at most, not {longest}")
    if (length := len(os.fsencode(path))) > _LONGEST_PATH:
        raise ValueError(f"a path has {_LONGEST_PATH} bytes at most, not {length}")
    return path


InputPath: TypeAlias = Annotated[Path, AfterValidator(_beside_the_file), "input"]
"""A path that is read; relative to the pipeline file it stands in."""

OutputPath: TypeAlias = Annotated[Path, AfterValidator(_beside_the_file), "output"]
"""A path that is written, with strftime fields; relative to the pipeline file it stands in."""

SinkId: TypeAlias = Annotated[str, "sink"]
"""The id of a sink of the same pipeline; a file that names another stage is refused."""

EventGlob: TypeAlias = Annotated[str, "event"]
"""Events by name or glob; a file that names one that nobody publishes is refused."""


def changed_fields(model: BaseModel, to: BaseModel) -> frozenset[str]:
    """Return the names of the fields that differ between two of one model.

    A null that is written is another value than a field that is left out.
    """
    return frozenset(
        name
        for name in type(model).model_fields
        if (value := getattr(model, name)) != getattr(to, name)
        or (value is None and (name in model.model_fields_set) != (name in to.model_fields_set))
    )


class Place:
    """What all instances that stand at one place of a pipeline share; see `StageContext.place`."""


class Described(BaseModel):
    """A model whose attributes are described by the docstrings under them.

    They are read when they are asked for. pydantic's `use_attribute_docstrings` reads the source of
    every class when it is made: a ninth of what `rtpipe validate` took.
    """

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, Any]:
        """Put the descriptions into the JSON Schema."""
        made = handler(core_schema)
        properties = handler.resolve_ref_schema(made).get("properties", {})
        for name, field in cls.model_fields.items():
            key = field.alias if field.alias in properties else name
            told = description(cls, name)
            if told and key in properties:
                properties[key]["description"] = told
        return made


def description(model: type[BaseModel], name: str) -> str:
    """Return what the field `name` of a model is, in its author's words; "" where it has none."""
    given = model.model_fields[name].description
    if given is None and issubclass(model, Described):
        return _docstrings(model).get(name, "")
    return given or ""


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstrings under a model's attributes, inherited ones too, where there is source.

    An attribute that is declared again has the docstring that it has there.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        module = sys.modules.get(each.__module__)
        file = getattr(module, "__file__", None)
        if file is not None and issubclass(each, Described):
            linecache.checkcache(file)  # a plugin may be edited, and imported again
            source = "".join(linecache.getlines(file, vars(module)))
            found |= _attributes_in(source).get(each.__qualname__, {})
    return found


@lru_cache(maxsize=64)
def _attributes_in(source: str) -> dict[str, dict[str, str]]:
    """Return, by the qualified name of each class in a source, its attributes' docstrings."""
    found: dict[str, dict[str, str]] = {}

    def visit(nodes: Iterable[ast.AST], outer: str) -> None:
        for node in nodes:
            inner = outer
            if isinstance(node, ast.ClassDef):
                inner = f"{outer}{node.name}."
                found[f"{outer}{node.name}"] = dict(_attributes(node))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                inner = f"{outer}{node.name}.<locals>."
            visit(ast.iter_child_nodes(node), inner)

    with suppress(SyntaxError, ValueError):  # edited since it was imported
        visit(ast.parse(source).body, "")
    return found


def _attributes(defined: ast.ClassDef) -> Iterable[tuple[str, str]]:
    for node, below in pairwise([*defined.body, ast.Pass()]):
        match node, below:
            case ast.AnnAssign(ast.Name(name)), ast.Expr(ast.Constant(str(text))):
                yield name, inspect.cleandoc(text)
            case ast.AnnAssign(ast.Name(name)), _:
                yield name, ""
