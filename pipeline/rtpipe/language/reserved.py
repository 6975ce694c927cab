"""The values of reserved keys: `from`, `queue`, `enabled`, `on_error`, `label`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe.language.nodes import Entry, ListNode, MapNode, Node, ScalarNode, unresolved, what
from rtpipe.language.spec import Drop, ErrorPolicy, Fail, QueueSpec, Ref, Restart
from rtpipe.link import WhenFull
from rtpipe.wording.diagnostics import did_you_mean, listed
from rtpipe.wording.scalars import typed

if TYPE_CHECKING:
    from rtpipe.wording.diagnostics import Findings

_QUEUE_KEYS = ("max_ms", "when_full")
_RESTART_KEYS = ("backoff_s", "tries", "within_s")
_POLICIES = ("fail", "drop", "restart")


class ReservedReader:
    """Reads what stands beside a kind; what is wrong goes to the findings and has its default."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def flag(self, node: Node | None, key: str, *, default: bool) -> bool:
        """Return a value of true or false; text from the environment counts too."""
        if node is None:
            return default
        value = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, str):
            value = typed(value.lower())
        if isinstance(value, bool):
            return value
        self._wrong(node, key, "true or false", f"{key}: true")
        return default

    def text(self, node: Node | None, key: str) -> str | None:
        """Return a text; None where there is none."""
        if node is None or (isinstance(node, ScalarNode) and node.value is None):
            return None
        if isinstance(node, ScalarNode) and isinstance(node.value, str):
            return node.value
        self._wrong(node, key, "text", f"{key}: text")
        return None

    def refs(self, node: Node | None) -> tuple[Ref, ...] | None:
        """Return what `from:` names; None where it is not there."""
        if node is None:
            return None
        listed = node.items if isinstance(node, ListNode) else (node,)
        found: list[Ref] = []
        for item in listed:
            name = item.value if isinstance(item, ScalarNode) else None
            if not isinstance(name, str) or unresolved(item):
                self._wrong(item, "from", "an id or a list of ids", "from: [mic, realtime]")
                continue
            id, _, port = name.partition(".")
            found.append(Ref(id, port or "out", item.span))
        return tuple(found) if found or not listed else None

    def queue(self, node: Node | None) -> QueueSpec | None:
        """Return what `queue:` says; `queue: {}` asks for one with the defaults."""
        if node is None:
            return None
        if not isinstance(node, MapNode):
            self._wrong(node, "queue", "a mapping", "queue: {max_ms: 80, when_full: drop_oldest}")
            return None
        self._keys(node, _QUEUE_KEYS, "queue")
        max_ms = self._number(node.get("max_ms"), "max_ms", "max_ms: 80")
        when_full: WhenFull | None = None
        wanted = node.get("when_full")
        if wanted is not None:
            value = wanted.value if isinstance(wanted, ScalarNode) else None
            if value in list(WhenFull):
                when_full = WhenFull(str(value))
            else:
                self._choice(wanted, "when_full", tuple(WhenFull))
        return QueueSpec(max_ms, when_full)

    def policy(self, node: Node | None) -> ErrorPolicy:
        """Return what `on_error:` says."""
        if node is None:
            return Fail()
        if isinstance(node, MapNode) and list(node.entries) == ["restart"]:
            return self._restart(node.entries["restart"])
        value = node.value if isinstance(node, ScalarNode) else None
        if value not in _POLICIES:
            self._choice(node, "on_error", _POLICIES)
            return Fail()
        if value == "restart":
            return Restart()
        return Drop() if value == "drop" else Fail()

    def _restart(self, entry: Entry) -> Restart:
        node = entry.value
        if isinstance(node, ScalarNode) and node.value is None:
            return Restart()
        if not isinstance(node, MapNode):
            self._wrong(node, "restart", "a mapping", "on_error: {restart: {tries: 3}}")
            return Restart()
        self._keys(node, _RESTART_KEYS, "restart")
        default = Restart()
        backoff = default.backoff_s
        wanted = node.get("backoff_s")
        if wanted is not None:
            items = wanted.items if isinstance(wanted, ListNode) else ()
            values: list[Any] = [i.value for i in items if isinstance(i, ScalarNode)]
            numbers = [float(v) for v in values if _is_number(v)]
            if len(numbers) == 2 == len(items) and 0 <= numbers[0] <= numbers[1]:
                backoff = (numbers[0], numbers[1])
            else:
                expected = "two numbers, the shortest and the longest wait"
                self._wrong(wanted, "backoff_s", expected, "backoff_s: [0.5, 30]")
        tries = self._number(node.get("tries"), "tries", "tries: 5")
        within = self._number(node.get("within_s"), "within_s", "within_s: 60")
        return Restart(
            backoff,
            default.tries if tries is None else int(tries),
            default.within_s if within is None else within,
        )

    def _number(self, node: Node | None, key: str, example: str) -> float | None:
        if node is None:
            return None
        value: Any = node.value if isinstance(node, ScalarNode) else None
        if isinstance(value, str):
            value = typed(value)
        if _is_number(value) and 0 < value < float("inf"):
            return float(value)
        self._wrong(node, key, "a number, more than 0", example)
        return None

    def _keys(self, node: MapNode, known: tuple[str, ...], of: str) -> None:
        for key, entry in node.entries.items():
            if key not in known:
                self._findings.error(
                    "E107",
                    f"`{of}` has no `{key}`",
                    entry.key_span,
                    label="unknown key",
                    help=did_you_mean(key, known) or f"it has {listed(known)}",
                )

    def _choice(self, node: Node, key: str, choices: tuple[str, ...]) -> None:
        if unresolved(node):
            return
        value = node.value if isinstance(node, ScalarNode) else None
        help = did_you_mean(value, choices) if isinstance(value, str) else None
        self._findings.error(
            "E107",
            f"`{key}` cannot be {value if isinstance(value, str) else what(node)}",
            node.span,
            label=f"expected one of {', '.join(choices)}",
            help=help or f"for example `{key}: {choices[0]}`",
        )

    def _wrong(self, node: Node, key: str, expected: str, example: str) -> None:
        if unresolved(node):
            return
        self._findings.error(
            "E107",
            f"`{key}` is {expected}, not {what(node)}",
            node.span,
            label=f"expected {expected}",
            help=f"for example `{example}`",
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
