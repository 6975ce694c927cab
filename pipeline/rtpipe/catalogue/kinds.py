"""The kinds of stage that plugins add. A `LazyKind` is imported when its class is first asked for.

The framework's stage classes, and pydantic with them, are imported here only where a class is at
hand: a list of kinds costs no more than the list.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from rtpipe.catalogue.records import fault_of
from rtpipe.errors import PluginError
from rtpipe.hookspecs import LazyKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rtpipe.catalogue.records import PluginRecord
    from rtpipe.stage import Options, Stage

StageType: TypeAlias = "type[Stage[Any]]"


class Kinds(Mapping[str, "type[Stage[Any]]"]):
    """Stage classes by kind; getting one imports it, everything else that is asked does not.

    Raises:
        PluginError: Out of `kinds[kind]`, when the kind's module cannot be imported or does not
            hold what the plugin said; the same error whenever it is asked for again.
    """

    def __init__(self) -> None:
        self._declared: dict[str, StageType | LazyKind] = {}
        self._owners: dict[str, PluginRecord] = {}
        self._imported: dict[str, StageType | PluginError] = {}

    def add(self, stage: StageType | LazyKind, owner: PluginRecord) -> bool:
        """Add a kind of `owner`'s; returns False where another plugin has one of that name."""
        if self._declared.setdefault(stage.kind, stage) != stage:
            return False
        self._owners[stage.kind] = owner
        return True

    def owner(self, kind: str) -> PluginRecord:
        """Return the plugin that `kind` comes from."""
        return self._owners[kind]

    def family(self, kind: str) -> str:
        """Return which of the five kinds of stage `kind` is."""
        declared = self._declared[kind]
        return declared.family if isinstance(declared, LazyKind) else _family(declared)

    def summary(self, kind: str) -> str:
        """Return what `kind` does, in a sentence."""
        declared = self._declared[kind]
        return declared.summary if isinstance(declared, LazyKind) else stage_summary(declared)

    def of_family(self, name: str) -> list[str]:
        """Return the kinds of one family (`source`, `transform`, ...), sorted."""
        return sorted(kind for kind in self._declared if self.family(kind) == name)

    def find(self, kind: str) -> StageType | None:
        """Return a kind's class; None where no plugin has it or it cannot be imported."""
        return None if kind not in self or self.failure(kind) is not None else self[kind]

    def failure(self, kind: str) -> PluginError | None:
        """Return why `kind` cannot be imported; None where it can."""
        try:
            self[kind]
        except PluginError as error:
            return error
        return None

    def importable(self) -> dict[str, StageType]:
        """Import every kind; return those that can be, by name."""
        found = {kind: self.find(kind) for kind in self}
        return {kind: stage_type for kind, stage_type in found.items() if stage_type is not None}

    def __getitem__(self, kind: str) -> StageType:
        known = self._imported.get(kind)
        if known is None:
            known = self._imported[kind] = self._import(kind)
        if isinstance(known, PluginError):
            raise known
        return known

    def __contains__(self, kind: object) -> bool:
        return kind in self._declared

    def __iter__(self) -> Iterator[str]:
        return iter(self._declared)

    def __len__(self) -> int:
        return len(self._declared)

    def _import(self, kind: str) -> StageType | PluginError:
        declared = self._declared[kind]
        if not isinstance(declared, LazyKind):
            return declared
        try:
            return _imported(declared)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code; recorded
            owner = self._owners[kind]
            owner.fault = fault = fault_of(error)
            failure = PluginError(
                f"`{kind}` of the plugin `{owner.name}` ({owner.origin}) cannot be imported from "
                f"{declared.target}: {fault.message}"
            )
            failure.__cause__ = error
            return failure


def _imported(kind: LazyKind) -> StageType:
    """Return the class of `kind`; raise whatever its module does, or PluginError."""
    module, _, name = kind.target.partition(":")
    found: StageType = getattr(importlib.import_module(module), name)
    check_class(found)
    if (found.kind, _family(found)) != (kind.kind, kind.family):
        raise PluginError(f"it is a {_family(found)} whose kind is `{found.kind}`")
    return found


def check_class(stage: StageType) -> None:
    """Check a class that a plugin gave as a stage.

    Raises:
        PluginError: It is no stage, its options are no model of options, or its kind is a word
            that the pipeline file has for something else.
    """
    from rtpipe.stage import FAMILIES, Options
    from rtpipe.vocabulary import RESERVED

    if not (inspect.isclass(stage) and issubclass(stage, tuple(FAMILIES.values()))):
        raise PluginError(f"rtpipe_stages() gave {stage!r}, which is no stage class")
    if not issubclass(stage.options_type, Options):
        raise PluginError(f"the options of {stage.__name__} are no rtpipe.Options model")
    if getattr(stage, "kind", None) in RESERVED:
        raise PluginError(f"{stage.__name__}.kind is `{stage.kind}`, a reserved word of the file")


def check_defaults(options_type: type[Options]) -> None:
    """Check what options are where the file does not say it; pydantic takes any default.

    Raises:
        PluginError: One is of another type than its option.
    """
    from pydantic import TypeAdapter, ValidationError
    from pydantic.errors import PydanticUserError

    for name, field in options_type.model_fields.items():
        if field.annotation is None or field.is_required() or field.default_factory is not None:
            continue
        try:
            TypeAdapter(field.annotation).validate_python(field.default, strict=True)
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"]
            told = f"the default of {options_type.__name__}.{name} is {field.default!r}: {said}"
            raise PluginError(told) from None
        except PydanticUserError:  # a type of the plugin's own, which only the whole model knows
            continue


def _family(stage_type: StageType) -> str:
    from rtpipe.stage import family

    return family(stage_type)


def stage_summary(stage_type: StageType) -> str:
    """Return what a kind does, in a sentence; "" where its author wrote nothing."""
    first = own_doc(stage_type).split("\n\n", 1)[0]
    return " ".join(first.split())


def own_doc(stage_type: StageType) -> str:
    """Return what the author wrote about the stage, or else about its options."""
    from rtpipe.stage import FAMILIES, Options

    inherited = {inspect.getdoc(base) for base in (*FAMILIES.values(), Options)}
    for documented in (stage_type, stage_type.options_type):
        text = inspect.getdoc(documented) or ""
        if text not in inherited:
            return text
    return ""
