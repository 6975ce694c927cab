"""Rules that check a JSON value and merge it into what stands: the grammar of `session.update`.

A rule takes the value that stands, the value given and its dotted path. It returns the value that
stands from now on, never changing the old one, or raises `Rejected`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtpipe_realtime_server.session.rejection import (
    Rejected,
    missing_parameter,
    unknown_parameter,
    unsupported_value,
    wrong_type,
)

Rule = Callable[[Any, Any, str], Any]


def text(_current: Any, given: Any, path: str) -> Any:
    """Accept a string."""
    if not isinstance(given, str):
        raise wrong_type(path, "a string", given)
    return given


def boolean(_current: Any, given: Any, path: str) -> Any:
    """Accept true or false."""
    if not isinstance(given, bool):
        raise wrong_type(path, "a boolean", given)
    return given


def mapping(_current: Any, given: Any, path: str) -> Any:
    """Accept any object."""
    if not isinstance(given, dict):
        raise wrong_type(path, "an object", given)
    return given


def number(low: float, high: float = float("inf"), *, whole: bool = False) -> Rule:
    """Accept a number from `low` to `high`."""

    def rule(_current: Any, given: Any, path: str) -> Any:
        kinds = int if whole else (int, float)
        if isinstance(given, bool) or not isinstance(given, kinds):
            raise wrong_type(path, "an integer" if whole else "a number", given)
        if not low <= given <= high:
            limits = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
            raise Rejected(f"Invalid value: {given}. Expected a number {limits}.", param=path)
        return given

    return rule


def one_of(*choices: str) -> Rule:
    """Accept one of some strings."""

    def rule(_current: Any, given: Any, path: str) -> Any:
        if given not in choices:
            raise unsupported_value(path, given, choices)
        return given

    return rule


def nullable(inner: Rule) -> Rule:
    """Accept null, which clears, beside what `inner` accepts."""

    def rule(current: Any, given: Any, path: str) -> Any:
        return None if given is None else inner(current, given, path)

    return rule


def either(choices: tuple[str, ...], inner: Rule) -> Rule:
    """Accept one of some strings, beside the object that `inner` accepts."""
    strings = one_of(*choices)

    def rule(current: Any, given: Any, path: str) -> Any:
        if isinstance(given, dict):
            return inner(current if isinstance(current, dict) else None, given, path)
        return strings(current, given, path)

    return rule


def array(inner: Rule) -> Rule:
    """Accept an array of what `inner` accepts; it replaces the one that stands."""

    def rule(_current: Any, given: Any, path: str) -> Any:
        if not isinstance(given, list):
            raise wrong_type(path, "an array", given)
        return [inner(None, value, f"{path}[{index}]") for index, value in enumerate(given)]

    return rule


def section(rules: dict[str, Rule], *, required: tuple[str, ...] = ()) -> Rule:
    """Accept an object and merge it, key by key, into the one that stands."""

    def rule(current: Any, given: Any, path: str) -> Any:
        mapping(None, given, path)
        result = dict(current or {})
        for key, value in given.items():
            where = f"{path}.{key}" if path else key
            if key not in rules:
                raise unknown_parameter(where)
            result[key] = rules[key](result.get(key), value, where)
        for key in required:
            if key not in result:
                raise missing_parameter(f"{path}.{key}" if path else key)
        return result

    return rule
