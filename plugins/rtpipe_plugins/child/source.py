"""Static look at a function of the user's: what its module's source says of it; imports nothing."""

from __future__ import annotations

import ast
import builtins
import sys
import warnings
from difflib import get_close_matches
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from rtpipe import Finding, Remedy
from rtpipe.examination import missing_modules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rtpipe.examination import Status

Given: TypeAlias = Literal["event", "named"]
"""What a function is called with: the event alone, or each argument by its name."""

_Definition: TypeAlias = "ast.stmt | ast.expr | None"
_BLOCKS = ("body", "orelse", "finalbody")
_DATA = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp,
         ast.SetComp, ast.DictComp, ast.GeneratorExp)  # fmt: skip
_UNBOUND = frozenset({"staticmethod", "classmethod"})


def beside(name: str, folder: Path | None) -> Path | None:
    """Return the file of a module that lies beside the pipeline file, or None."""
    path = None if folder is None else (folder / name.replace(".", "/")).with_suffix(".py")
    return path if path is not None and path.is_file() else None


def missing_function(
    target: str, folder: Path | None, option: str, given: Given
) -> Iterator[Finding]:
    """Yield what is wrong with `target`, importing nothing: its module is parsed.

    Args:
        target: `module:function`.
        folder: Where the pipeline file lies.
        option: Which option names it.
        given: What it is called with.
    """
    module = target.partition(":")[0]
    ours = path = beside(module, folder)
    if path is None:
        top = module.partition(".")[0]
        if missing_modules([top]):
            yield _no_module(target, top, folder, option)
            return
        try:
            path = _installed(module)
        except ModuleNotFoundError as error:
            yield Finding("missing", f"there is no module `{error.name}`", option)
            return
    if path is None:
        return
    # what is installed here need not be what is installed where the file will run
    shipped = ours is not None or module.partition(".")[0] in sys.stdlib_module_names
    status: Status = "wrong" if shipped else "missing"
    called = module if ours is None else path.name
    try:
        source = _Source(path, called)
    except OSError as error:
        yield Finding("missing", f"may not read {path}: {error.strerror}", option)
    except SyntaxError as error:
        place = "" if error.lineno is None else f", line {error.lineno}"
        yield Finding(status, f"{called}{place}: {error.msg}", option)
    except (ValueError, RecursionError, MemoryError) as error:
        yield Finding(status, f"{called}: {error or 'cannot be read'}", option)
    else:
        yield from source.findings(target, option, status, given)
        if ours is not None:
            yield from source.lacks(option)


def _no_module(target: str, top: str, folder: Path | None, option: str) -> Finding:
    module, _, name = target.partition(":")
    files = [] if folder is None else [path.stem for path in folder.glob("*.py")]
    near = get_close_matches(module, files, 1)
    message = f"there is no module `{top}`"
    if near:
        return Finding("wrong", message, option, Remedy("did you mean `{}`?", f"{near[0]}:{name}"))
    help = f"put {top}.py beside the pipeline file, or install it"
    return Finding("missing", message, option, help)


def _installed(name: str) -> Path | None:
    """Return the source of a module that is installed; None where it has none or hides it.

    Raises:
        ModuleNotFoundError: Its package has no such part.
    """
    top, *parts = name.split(".")
    spec = find_spec(top)
    for index in range(1, len(parts) + 1):
        if spec is None or spec.submodule_search_locations is None:
            return None
        whole = ".".join((top, *parts[:index]))
        spec = PathFinder.find_spec(whole, list(spec.submodule_search_locations))
        if spec is None:
            raise ModuleNotFoundError(name=whole)
    origin = None if spec is None else spec.origin
    return Path(origin) if origin is not None and origin.endswith(".py") else None


class _Source:
    """A module, parsed.

    Args:
        path: Its file.
        name: What messages call it.

    Raises:
        OSError: It cannot be read.
        SyntaxError: It is no Python.
        ValueError: It holds a NUL.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(path.read_bytes(), path.name)
        self._tree = tree
        self._defined = dict(_definitions(tree.body))
        self._bound = set(_bound(tree))

    def findings(self, target: str, option: str, status: Status, given: Given) -> Iterator[Finding]:
        """Yield what is wrong with the function that `target` names."""
        module, _, name = target.partition(":")
        first, *rest = name.split(".")
        if first not in self._bound:
            if not self._bound & {"*", "__getattr__"}:
                callables = [key for key, value in self._defined.items() if not _is_data(value)]
                near = get_close_matches(first, callables, 1)
                whole = f"{module}:{'.'.join((*near, *rest))}"
                help = Remedy("did you mean `{}`?", whole) if near else None
                yield Finding(status, f"{self._name} has no `{first}`", option, help)
            return
        found, owner = self._defined.get(first), None
        for part in rest:
            if not isinstance(found, ast.ClassDef):
                return
            owner, inside = found, dict(_definitions(found.body))
            if part not in inside:
                if not (owner.bases or owner.keywords or owner.decorator_list):
                    message = f"`{owner.name}` of {self._name} has no `{part}`"
                    yield Finding(status, message, option)
                return
            found = inside[part]
        wrong = self._misfit(name, found, owner, given)
        if wrong is not None:
            yield Finding(status, wrong, option)

    def lacks(self, option: str) -> Iterator[Finding]:
        """Yield the modules that this one imports, come what may, and that are not installed."""
        wanted: dict[str, None] = {}
        for node in self._tree.body:
            match node:
                case ast.Import(names=names):
                    wanted |= dict.fromkeys(each.name.partition(".")[0] for each in names)
                case ast.ImportFrom(module=str(module), level=0):
                    wanted[module.partition(".")[0]] = None
        for name in missing_modules(wanted):
            message = f"{self._name} imports `{name}`, which is not installed"
            yield Finding("missing", message, option, "install it where the pipeline is to run")

    def _misfit(
        self, name: str, found: _Definition, owner: ast.ClassDef | None, given: Given
    ) -> str | None:
        """Return why what is defined as `name` cannot be called so; None where it can."""
        who = f"`{name}` of {self._name}"
        if _is_data(found):
            return f"{who} is not a function"
        marks: set[str] = set()
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = {each.id for each in found.decorator_list if isinstance(each, ast.Name)}
            if len(marks & _UNBOUND) != len(found.decorator_list):
                return None  # a decorator may make anything of it
        elif not isinstance(found, ast.Lambda):
            return None
        arguments = found.args
        places = [*arguments.posonlyargs, *arguments.args]
        if owner is not None and "classmethod" in marks:
            places = places[1:]
        if given == "event":
            return _misfit_of_one(who, places, arguments)
        if owner is None and (arguments.posonlyargs or arguments.vararg):
            return f"{who} has parameters without a name: the model gives each by name"
        unknown = next(iter(self._unknown([*places, *arguments.kwonlyargs])), None)
        if unknown is not None:
            return f"the parameters of {who} have no JSON schema: name '{unknown}' is not defined"
        return None

    def _unknown(self, parameters: Iterable[ast.arg]) -> Iterator[str]:
        """Yield the names in type hints that nothing defines."""
        known = self._bound | set(vars(builtins))
        for each in parameters:
            for node in ast.walk(each.annotation) if each.annotation is not None else ():
                if isinstance(node, ast.Name) and node.id not in known and "*" not in known:
                    yield node.id


def _misfit_of_one(who: str, places: list[ast.arg], arguments: ast.arguments) -> str | None:
    """Return why a function cannot be called with one argument; None where it can."""
    needed = len(places) - len(arguments.defaults)
    named = [
        parameter.arg
        for parameter, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    if named:
        return f"{who} needs `{named[0]}` by name, and is given the event alone"
    if needed > 1:
        return f"{who} takes {needed} arguments, and is given the event alone"
    if not places and arguments.vararg is None:
        return f"{who} takes no argument, and is given the event"
    return None


def _is_data(found: _Definition) -> bool:
    return isinstance(found, _DATA)


def _definitions(body: Iterable[ast.stmt]) -> Iterator[tuple[str, _Definition]]:
    """Yield what the statements of a module or class define, in turn; None where it varies."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Assign():
                for target in node.targets:
                    for each in ast.walk(target):
                        if isinstance(each, ast.Name):
                            yield each.id, node.value if target is each else None
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, node.value
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    yield alias.asname or alias.name.partition(".")[0], None
            case _:
                parts = [*(getattr(node, block, ()) for block in _BLOCKS)]
                parts += [handler.body for handler in getattr(node, "handlers", ())]
                parts += [case.body for case in getattr(node, "cases", ())]
                # which of several branches is taken is known to who runs it
                yield from ((name, None) for part in parts for name, _ in _definitions(part))


def _bound(tree: ast.AST) -> Iterator[str]:
    """Yield every name that a module binds anywhere: one that is not among them is not there."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.alias():
                yield node.asname or node.name.partition(".")[0]
