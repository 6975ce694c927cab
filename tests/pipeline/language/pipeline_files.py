"""Pipeline files over the whole grammar of the reserved keys, with mistakes: for hypothesis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

JUNK = (None, True, 0, -1, 3, 2.5, "", [], {}, [3], [None], {"a": 1}, {"a": [1]})
NO_TEXT = tuple(each for each in JUNK if each != "")
SINGLE = (None, True, 3, "")
ON, FLAG = (True, "${yes}"), (True, False, "${yes}")
VARIABLES = {"yes": True, "forty": 40, "drop": "drop", "gain": "gain"}
SOURCES = ("tone", {"tone": None}, {"mic": "USB"}, {"mic": {"sample_rate": 8000}})
TRANSFORMS = ("gain", {"gain": 3}, {"gain": "${forty}"}, {"vad": {}}, {"realtime": None})
SINKS = ({"file_sink": "a.wav"}, {"file_sink": {"path": "a.wav"}}, {"blackhole": None}, "speaker")
NO_STAGES = ("unknown", "log", {"log": None}, {"tone": 440}, {"gain": [1]}, {"gain": 1, "vad": 1})


class Author:
    """Writes files that are right, but for a mistake here and there.

    What a schema cannot tell is always right: ids, actions and events that are named exist, kinds
    are given the options that they need, a reference stands for a value of the right sort, and
    audio gets from the source to the sink.
    """

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def one(self, *values: Any) -> Any:
        return self._draw(st.sampled_from(values))

    def errs(self) -> bool:
        return self._draw(st.integers(0, 39)) == 39

    def value(self, *right: Any, wrong: tuple[Any, ...] = (), junk: tuple[Any, ...] = JUNK) -> Any:
        return self.one(*junk, *wrong) if self.errs() else self.one(*right)

    def mapping(self, **write: Callable[[], Any]) -> dict[str, Any]:
        """Some of the keys that may be there, perhaps one that may not."""
        keys = [key for key in write if self._draw(st.booleans())]
        made = {key.rstrip("_"): write[key]() for key in keys}
        stray = self.one("unknown", "maxms", "match", "do", "queue", "gain", "restart", "version")
        return {**made, stray: 1} if self.errs() and stray not in made else made

    def number(self) -> Any:
        return self.value(1, 0.5, 40, "${forty}", wrong=("40", [40]))

    def queue(self) -> Any:
        rules = ("block", "drop_oldest", "drop_newest", "fail")
        written = self.mapping(
            max_ms=self.number, when_full=lambda: self.value(*rules, wrong=("drop", "Block"))
        )
        return self.value(written, wrong=("40", [written]))

    def on_error(self) -> Any:
        waits = ([0, 1], [0.5, 30], [1, "${forty}"])
        written = self.mapping(
            backoff_s=lambda: self.value(*waits, wrong=([1], [0, 1, 2], [-1, 2], ["1", 2])),
            tries=lambda: self.value(1, 5, 3.0, "${forty}", wrong=("5", 2.5)),
            within_s=self.number,
        )
        restart = self.value(written, None, wrong=("fail",))
        policies = ("fail", "drop", "restart", "${drop}", {"restart": restart})
        return self.value(*policies, wrong=("retry", {"drop": None}, {"restart": None, "a": 1}))

    def label(self) -> Any:
        return self.value("A desk", "${drop}", None)

    def id(self) -> Any:
        return self.value("given", wrong=("a b", "1a", "${drop}", ["a"]))

    def fallback(self, right: tuple[Any, ...], wrong: tuple[Any, ...], depth: int = 0) -> Any:
        kind = self.value(*right, None, wrong=(*wrong, *NO_STAGES), junk=NO_TEXT)
        if not isinstance(kind, dict):
            return kind
        beside = self.mapping(queue=self.queue, on_error=self.on_error)
        if depth < 2:
            beside |= self.mapping(fallback=lambda: self.fallback(right, wrong, depth + 1))
        return {**kind, **beside, **self.one({}, {}, {}, {"id": "a"} if self.errs() else {})}

    def beside(self, fallback: Callable[[], Any], **more: Callable[[], Any]) -> dict[str, Any]:
        always = {
            "queue": self.queue,
            "on_error": self.on_error,
            "fallback": fallback,
            "enabled": lambda: self.value(*ON, wrong=("true", "no")),
            "label": self.label,
        }
        return self.mapping(**(always | more))

    def stage(self, kind: Any, alike: tuple[Any, ...], **more: Callable[[], Any]) -> Any:
        """An item, its kind `kind`; a fallback is `alike`."""
        others = tuple(each for each in (*SOURCES, *TRANSFORMS, *SINKS) if each not in alike)
        written = self.value(kind, wrong=NO_STAGES, junk=NO_TEXT)
        beside = self.beside(lambda: self.fallback(alike, others), **more)
        if not beside or not isinstance(written, dict):
            return {written: None, **beside} if isinstance(written, str) and beside else written
        return {**written, **beside}

    def stages(self) -> list[Any]:
        reads = ("tone", ["tone"], "tone.out")
        return [
            self.stage(self.one("tone", {"tone": None}, {"tone": {}}), SOURCES),
            self.stage(
                self.one("gain", {"gain": 3}, {"gain": {"mute": True}}),
                TRANSFORMS,
                from_=lambda: self.value(*reads),
                enabled=lambda: self.value(*FLAG, wrong=("false",)),
            ),
            self.stage(
                self.one({"file_sink": "a.wav"}, {"file_sink": {"path": "a.wav"}}),
                SINKS,
                from_=lambda: self.value("gain", ["gain"]),
                id=lambda: self.value("file_sink", wrong=("a b", "1a", "${drop}")),
            ),
        ]

    def changes(self) -> dict[str, Any]:
        def change(*kinds: Any, alike: tuple[Any, ...]) -> Any:
            beside = self.beside(lambda: self.fallback(alike, ("log",)))
            kind = self.value(*kinds, {}, wrong=NO_STAGES, junk=NO_TEXT)
            if isinstance(kind, str):
                return {kind: None, **beside} if beside else kind
            return {**kind, **beside} if isinstance(kind, dict) else kind

        return self.mapping(
            tone=lambda: change(*SOURCES, alike=SOURCES),
            gain=lambda: change(*TRANSFORMS, alike=TRANSFORMS),
            file_sink=lambda: change(
                {"file_sink": {"overwrite": True}}, "file_sink", *SINKS, alike=SINKS
            ),
        )

    def route(self, number: int) -> Any:
        def common(**more: Callable[[], Any]) -> dict[str, Any]:
            return self.mapping(
                where=lambda: self.value(
                    {}, {"at": 1, "type.c": None}, {"at": "${forty}"}, wrong=("a",)
                ),
                from_=lambda: self.value("gain", "${gain}", junk=NO_TEXT, wrong=(["gain"],)),
                enabled=lambda: self.value(*FLAG, wrong=("false",)),
                label=self.label,
                **more,
            )

        def match() -> Any:
            return self.value("*", "stage.*", ["stage.failed", "*"], wrong=([""], ["*", 3]))

        if self._draw(st.booleans()):
            kind = {"jsonl": f"{number}.jsonl"}
            written = self.value(kind, {"log": None}, {"log": "debug"}, wrong=("mic", {"gain": 3}))
            more = common(match=match, on_error=self.on_error, id=self.id)
            more |= {"id": f"{more['id']}{number}"} if more.get("id") == "given" else {}
            return {**written, **more} if isinstance(written, dict) else written
        actions = ("gain.toggle", ["gain.set(gain_db=-6)", "gain.toggle"], "gain.set( 3 )")
        do = self.value(*actions, wrong=("toggle", "gain.", "gain.toggle()x", ["gain"]))
        return {"do": do, **common(), **({} if self.errs() else {"match": match()})}

    def events(self) -> Any:
        count = self.one(0, 1, 2)
        return self.value([self.route(n) for n in range(count)], None, wrong=("log",))

    def profile(self) -> dict[str, Any]:
        return self.mapping(
            vars=lambda: self.value({"forty": 4, "new": None}, None, wrong=({"b": {}},)),
            stages=lambda: self.value(self.changes(), self.stages(), junk=SINGLE),
            events=self.events,
        )

    def more(self) -> dict[str, Any]:
        """What stands at the top level only."""
        return self.mapping(
            name=lambda: self.value("a", "${drop}", None),
            description=lambda: self.value("a", None),
            include=lambda: self.value([], None, junk=NO_TEXT),
            plugins=lambda: self.value([], None, junk=NO_TEXT),
            fuse=lambda: self.value(*FLAG, wrong=("true",)),
            profiles=lambda: self.value({}, {"a": self.profile(), "b": {}}, None),
        )


@st.composite
def whole_files(draw: st.DrawFn) -> dict[str, Any]:
    author = Author(draw)
    return {
        **author.profile(),
        **author.more(),
        "version": author.value(1, 1.0, wrong=(2, "1")),
        "vars": {**VARIABLES, "other": author.value("a", 1, None, wrong=([],))},
        "stages": author.value(author.stages(), wrong=("tone",), junk=SINGLE),
    }


@st.composite
def overlays(draw: st.DrawFn) -> dict[str, Any]:
    author = Author(draw)
    return {**author.profile(), **author.more(), **author.mapping(version=lambda: 1)}
