"""What the public door offers, member by member: signatures, words, and how stable each is."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any

import rtpipe
import rtpipe.testing
from rtpipe import audio, documents, examination, hookspecs
from rtpipe.testing import pytest_plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

_ATTRIBUTE = re.compile(r"^    (\w+): ((?:.|\n {8})*)", re.MULTILINE)
_SELF = re.compile(r"\((self|cls)(, )?")


@dataclass(frozen=True)
class Member:
    """A public name.

    Attributes:
        module: Where it is imported from.
        name: `Source`, or `Source.frames`.
        sort: `class`, `function`, `method`, `attribute`, `value`, `hook` or `fixture`.
        signature: Its arguments, `(frame: AudioFrame) -> Processed`; "" where it has none.
        told: Its docstring.
        label: `stable` or `provisional`.
        made_of: What it is: the object.
    """

    module: str
    name: str
    sort: str
    signature: str
    told: str
    label: str
    made_of: Any


def modules() -> tuple[ModuleType, ...]:
    """Return the modules that plugins and programs import from."""
    return rtpipe, audio, documents, examination, hookspecs, rtpipe.testing, pytest_plugin


def members(module: ModuleType) -> Iterator[Member]:
    """Yield the public names of a module, each class followed by its members."""
    provisional: frozenset[str] = module.__provisional__
    for name in module.__all__:
        made_of = getattr(module, name)
        label = "provisional" if name in provisional else "stable"
        if isinstance(made_of, ModuleType):
            continue
        if inspect.isclass(made_of) and made_of.__module__.startswith("rtpipe"):
            told = inspect.cleandoc(made_of.__doc__ or "")
            yield Member(module.__name__, name, "class", _made(made_of), told, label, made_of)
            for each in _of_class(module.__name__, name, made_of):
                own = "provisional" if each.name in provisional else label
                yield Member(**{**vars(each), "label": own})
        elif inspect.isfunction(made_of):
            sort = "hook" if name.startswith("rtpipe_") else "function"
            told = inspect.getdoc(made_of) or ""
            yield Member(module.__name__, name, sort, signature(made_of), told, label, made_of)
        else:
            fixture = getattr(made_of, "__wrapped__", None)
            if module is pytest_plugin and fixture is not None:
                told = inspect.getdoc(fixture) or ""
                yield Member(module.__name__, name, "fixture", "", told, label, made_of)
            else:
                yield Member(module.__name__, name, "value", "", told_of(name), label, made_of)


def pinned() -> str:
    """Return all public names with their signatures and labels, a line each, sorted."""
    lines = [
        f"{each.module} {each.name}{each.signature} [{each.sort}, {each.label}]"
        for module in modules()
        for each in members(module)
    ]
    return "\n".join(sorted(lines)) + "\n"


def signature(function: Any) -> str:
    """Return the arguments of a function as its source has them, without `self`."""
    try:
        found = str(inspect.signature(function))
    except ValueError:
        return ""
    plain = re.sub(r"(: |-> )'([^']*)'", r"\1\2", found)
    plain = re.sub(r" at 0x[0-9a-f]+", "", plain)
    return _SELF.sub("(", plain, count=1)


def _made(made_of: type) -> str:
    if issubclass(made_of, (Enum, str)) or "__init__" not in _own(made_of):
        return ""
    return signature(made_of.__init__).removesuffix(" -> None")


def _own(made_of: type) -> dict[str, Any]:
    """Return what a class and those of its bases that are not public themselves define."""
    found: dict[str, Any] = {}
    for base in reversed(made_of.__mro__):
        public = base is not made_of and getattr(rtpipe, base.__name__, None) is base
        if base.__module__.startswith("rtpipe") and not public:
            found |= vars(base)
    return found


def _of_class(module: str, name: str, made_of: type) -> Iterator[Member]:
    told = told_attributes(made_of)
    own = _own(made_of)
    methods = {key: value for key, value in own.items() if _is_method(value)}
    attributes = [
        *(key for key, value in own.items() if not _is_method(value)),
        *(key for each in made_of.__mro__ if _is_ours(each, made_of) for key in _annotated(each)),
        *_set_in_init(made_of),
    ]
    for key in dict.fromkeys(attributes):
        if not key.startswith("_") and key != "model_config":
            value = own.get(key)
            said = inspect.getdoc(value) if isinstance(value, property) else None
            words = said or told.get(key, "")
            yield Member(module, f"{name}.{key}", "attribute", "", words, "", value)
    for key, value in methods.items():
        if not key.startswith("_") or key == "__call__":
            plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
            words = inspect.getdoc(getattr(made_of, key)) or ""
            yield Member(module, f"{name}.{key}", "method", signature(plain), words, "", plain)


def _is_ours(base: type, made_of: type) -> bool:
    return base is made_of or (
        base.__module__.startswith("rtpipe") and getattr(rtpipe, base.__name__, None) is not base
    )


def _is_method(value: object) -> bool:
    return inspect.isfunction(value) or isinstance(value, (classmethod, staticmethod))


def _annotated(made_of: type) -> list[str]:
    return list(vars(made_of).get("__annotations__", {}))


def _set_in_init(made_of: type) -> list[str]:
    """Return the public attributes that the constructor sets."""
    init = vars(made_of).get("__init__")
    if not inspect.isfunction(init) or init.__code__.co_filename.startswith("<"):
        return []
    tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    return [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    ]


def told_attributes(made_of: type) -> dict[str, str]:
    """Return what is said of a class's attributes: in its docstring, and below each of them."""
    found: dict[str, str] = {}
    for base in reversed(made_of.__mro__):
        if not base.__module__.startswith("rtpipe"):
            continue
        for title in ("Args:\n", "Attributes:\n"):
            section = inspect.cleandoc(base.__doc__ or "").partition(title)[2].partition("\n\n")[0]
            said = _ATTRIBUTE.findall(f"{section}\n")
            found |= {name: " ".join(about.split()) for name, about in said}
        found |= _below(base.__module__).get(base.__qualname__, {})
    return found


def told_of(name: str) -> str:
    """Return what is said below the assignment of a value, in any module of the door."""
    for module in (rtpipe, *_homes()):
        said = _below(module if isinstance(module, str) else module.__name__).get("", {})
        if name in said:
            return said[name]
    return ""


def _homes() -> list[str]:
    return [*rtpipe._HOMES, "rtpipe.audio", "rtpipe.examination"]  # noqa: SLF001 - its own table


@lru_cache(maxsize=256)
def _below(module: str) -> dict[str, dict[str, str]]:
    """Return the docstrings below assignments, by the class they stand in ("" for none)."""
    found: dict[str, dict[str, str]] = {}

    def visit(body: list[ast.stmt], outer: str) -> None:
        for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{outer}.{node.name}".lstrip("."))
            target = (
                node.targets[0]
                if isinstance(node, ast.Assign)
                else node.target
                if isinstance(node, ast.AnnAssign)
                else None
            )
            text = after.value if isinstance(after, ast.Expr) else None
            if isinstance(target, ast.Name) and isinstance(text, ast.Constant):
                found.setdefault(outer, {})[target.id] = " ".join(str(text.value).split())

    source = inspect.getsource(__import__(module, fromlist=["_"]))
    visit(ast.parse(source).body, "")
    return found
