"""Actions: the methods of a stage that a route, a command line or a page may call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    import inspect

A = TypeVar("A", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """A method of a stage that a route, the command line or a page may call.

    Attributes:
        name: What it is called in a route.
        summary: What it does.
        signature: Its arguments.
        method: The name of the method behind it.
        outcome: Types of the events that tell later what came of it.
    """

    name: str
    summary: str
    signature: inspect.Signature
    method: str
    outcome: tuple[str, ...] = ()


@overload
def action(method: A) -> A: ...


@overload
def action(*, name: str | None = None, outcome: Iterable[str] = ()) -> Callable[[A], A]: ...


def action(
    method: A | None = None, *, name: str | None = None, outcome: Iterable[str] = ()
) -> A | Callable[[A], A]:
    """Mark a quick synchronous method as callable from routes: `do: speaker.flush`.

    `@action(name="open")` where the method must be called otherwise: a stage has an `open` already.
    `@action(outcome=["device.changed", "device.refused"])` where it only begins what takes time:
    the stage tells by one of these events what came of it.
    """

    def mark(method: A) -> A:
        method.__rtpipe_action__ = (  # type: ignore[attr-defined]
            name or method.__name__,
            tuple(outcome),
        )
        return method

    return mark if method is None else mark(method)
