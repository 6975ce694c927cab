"""What plugins hang on a running pipeline: when it is entered and left, what its faults harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import click
import pytest

from helpers.actors import BATCH, diary, heard, registry, whole
from rtpipe import Options, hookimpl
from rtpipe.catalogue.plugins import Registry
from rtpipe.errors import StageError
from rtpipe.events import Event
from rtpipe.language.loading import from_text
from rtpipe.running.runtime import Pipeline
from rtpipe.testing import run_virtual

PLAIN = "stages: [ramp, collect]"
Hook = Callable[[Pipeline], Any]


class Extension:
    def __init__(self, hook: Hook) -> None:
        self.hook = hook

    @hookimpl
    def rtpipe_running(self, pipeline: Pipeline) -> Any:
        return self.hook(pipeline)


class Urgent(Extension):
    @hookimpl(tryfirst=True)
    def rtpipe_running(self, pipeline: Pipeline) -> Any:
        return self.hook(pipeline)


def noting(name: str) -> Hook:
    @asynccontextmanager
    async def hold(pipeline: Pipeline) -> AsyncIterator[None]:
        diary.append(f"enter {name}")
        yield
        diary.append(f"leave {name}")

    return hold


def extended(*extensions: object) -> Registry:
    plugins = registry()
    for number, extension in enumerate(extensions, 1):
        assert plugins.register(extension, f"plugin{number}").error is None
    return plugins


async def play(plugins: Registry, text: str = PLAIN, **kwargs: Any) -> tuple[Pipeline, list[Event]]:
    """Run the YAML `text`; the diary has what happened, `whole("collect")` what was heard."""
    diary.clear()
    heard.clear()
    events: list[Event] = []
    loaded = from_text(f"version: 1\n{text}", registry=plugins)
    pipeline = Pipeline(loaded.graph, registry=plugins, **kwargs)
    pipeline.bus.subscribe("*", events.append)
    pipeline.bus.subscribe("pipeline.ended", lambda event: diary.append(event.type))
    await pipeline.run()
    return pipeline, events


def failures(events: list[Event]) -> list[tuple[str, str]]:
    return [
        (event.payload()["plugin"], event.payload()["error"])
        for event in events
        if event.type == "plugin.failed"
    ]


def test_they_are_entered_before_the_stages_open_and_left_in_reverse_after_they_close() -> None:
    plugins = extended(
        Extension(noting("one")), Extension(lambda _: None), Extension(noting("two")),
        Urgent(noting("urgent")),
    )  # fmt: skip
    _, events = run_virtual(play(plugins))
    assert diary == [
        "enter urgent", "enter one", "enter two", "open collect", "open ramp",
        "close ramp", "close collect", "pipeline.ended", "leave two", "leave one", "leave urgent",
    ]  # fmt: skip
    assert not failures(events)


async def _coroutine() -> None:
    """What an `async def` hook without a decorator gives."""


async def _generator() -> AsyncIterator[None]:
    yield


@contextmanager
def _for_no_loop() -> Any:
    yield


@pytest.mark.parametrize("make", [lambda: 3, _coroutine, _generator, _for_no_loop, dict])
def test_one_that_gives_something_else_is_told(make: Callable[[], object]) -> None:
    _, events = run_virtual(play(extended(Extension(lambda _: make()))))
    ((plugin, error),) = failures(events)
    assert plugin == "plugin1"
    assert "no async context manager" in error
    assert len(whole("collect")) > 0


def _raises(_: Pipeline) -> None:
    raise OSError("no port left")


@asynccontextmanager
async def _raises_on_enter(_: Pipeline) -> AsyncIterator[None]:
    raise SystemExit(3)
    yield


@asynccontextmanager
async def _raises_on_exit(_: Pipeline) -> AsyncIterator[None]:
    yield
    raise OSError("no port left")


@asynccontextmanager
async def _loses_a_task(_: Pipeline) -> AsyncIterator[None]:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise OSError("no port left")

    async with asyncio.TaskGroup() as group:
        group.create_task(fail())
        yield


@asynccontextmanager
async def _cancels_itself(_: Pipeline) -> AsyncIterator[None]:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    yield


@pytest.mark.parametrize(
    ("hook", "said"),
    [
        (_raises, "OSError('no port left')"),
        (_raises_on_enter, "SystemExit(3)"),
        (_raises_on_exit, "OSError('no port left')"),
        (_loses_a_task, "OSError('no port left')"),
        (_cancels_itself, "CancelledError()"),
    ],
)
def test_one_that_raises_is_told_once_and_harms_nobody(
    hook: Hook, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    plugins = extended(Extension(noting("before")), Extension(hook), Extension(noting("after")))
    _, events = run_virtual(play(plugins))
    assert failures(events) == [("plugin2", said)]
    assert f"the plugin `plugin2` failed: {said}" in caplog.text
    assert len(whole("collect")) == 10 * BATCH
    assert [line for line in diary if line.startswith(("enter", "leave"))] == [
        "enter before", "enter after", "leave after", "leave before",
    ]  # fmt: skip


@asynccontextmanager
async def _hangs_on_enter(_: Pipeline) -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


@asynccontextmanager
async def _hangs_and_raises(_: Pipeline) -> AsyncIterator[None]:
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise OSError("told already") from None
    yield


@asynccontextmanager
async def _hangs_on_exit(_: Pipeline) -> AsyncIterator[None]:
    yield
    await asyncio.Event().wait()


@asynccontextmanager
async def _deaf(_: Pipeline) -> AsyncIterator[None]:
    yield
    until = asyncio.get_running_loop().time() + 60
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize(
    ("hook", "said", "at_most_s"),
    [
        (_hangs_on_enter, "not entered within 5 s", 5.0),
        (_hangs_and_raises, "not entered within 5 s", 5.0),
        (_hangs_on_exit, "not left within 5 s", 5.0),
        (_deaf, "not left within 5 s", 5.5),
    ],
)
def test_one_that_hangs_is_waited_for_five_seconds(hook: Hook, said: str, at_most_s: float) -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        _, events = await play(extended(Extension(hook), Extension(noting("other"))))
        assert failures(events) == [("plugin1", said)]
        return loop.time()

    assert run_virtual(main()) == at_most_s
    assert {"enter other", "leave other", "open ramp"} <= set(diary)


def test_a_stop_does_not_wait_for_one_that_is_still_being_entered() -> None:
    async def main() -> float:
        plugins = extended(Extension(noting("other")), Extension(_hangs_on_enter))
        graph = from_text(f"version: 1\n{PLAIN}", registry=plugins).graph
        pipeline = Pipeline(graph, registry=plugins)
        pipeline.bus.subscribe("plugin.failed", told.append)
        asyncio.get_running_loop().call_later(1.0, pipeline.stop)
        diary.clear()
        await pipeline.run()
        return asyncio.get_running_loop().time()

    told: list[Event] = []
    assert run_virtual(main()) == 1.0
    assert diary == ["enter other", "leave other"]
    assert not told


def test_they_are_left_when_a_stage_cannot_open_and_when_the_pipeline_is_cancelled() -> None:
    plugins = extended(Extension(noting("it")))
    with pytest.raises(StageError, match="no sound card"):
        run_virtual(play(plugins, "stages: [ramp, collect: {absent: true}]"))
    assert diary[-1] == "leave it"

    async def cancelled() -> None:
        playing = asyncio.ensure_future(play(plugins, "stages: [ramp: {live: true}, collect]"))
        await asyncio.sleep(0.05)
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        assert playing.cancelled()

    run_virtual(cancelled())
    assert diary[-1] == "leave it"


def test_a_secret_in_its_error_is_masked() -> None:
    text = "vars: {api_key: sk-canary}\nstages: [ramp, collect]"

    def hook(_: Pipeline) -> None:
        raise OSError("refused: sk-canary")

    _, events = run_virtual(play(extended(Extension(hook)), text))
    assert failures(events) == [("plugin1", "OSError('refused: ***')")]


# -- sections and options --------------------------------------------------------------------------


class DeskOptions(Options):
    main = "port"
    port: int = 8080


class Desk:
    @hookimpl
    def rtpipe_sections(self) -> dict[str, type[Options]]:
        return {"desk": DeskOptions}

    @hookimpl
    def rtpipe_run_options(self) -> list[click.Option]:
        return [click.Option(["--desk"], type=int, default=3)]


def test_an_extension_has_its_section_and_its_options() -> None:
    pipeline, _ = run_virtual(play(extended(Desk()), f"desk: {{port: 1}}\n{PLAIN}"))
    assert pipeline.sections == {"desk": DeskOptions(port=1)}
    assert pipeline.run_options == {"desk": 3}, "where no command line was read: the defaults"
    pipeline, _ = run_virtual(play(extended(Desk()), run_options={"desk": 4}))
    assert pipeline.sections == {"desk": None}
    assert pipeline.run_options == {"desk": 4}


class Claiming:
    """A plugin that claims what it is made with."""

    def __init__(self, sections: Any = None, options: Any = ()) -> None:
        self.sections, self.options = {} if sections is None else sections, options

    @hookimpl
    def rtpipe_sections(self) -> Any:
        return self.sections

    @hookimpl
    def rtpipe_run_options(self) -> Any:
        return self.options


@pytest.mark.parametrize(
    ("sections", "error"),
    [
        ({"desk": DeskOptions}, "the section `desk` already belongs to registered by the program"),
        ({"stages": DeskOptions}, "the section `stages` already belongs to rtpipe itself"),
        ({"two words": DeskOptions}, "a section is a word"),
        ({"desk2": int}, "no rtpipe.Options model"),
        (3, "TypeError"),
    ],
)
def test_a_section_that_cannot_be_is_a_fault_of_its_plugin(sections: Any, error: str) -> None:
    plugins = extended(Desk())
    record = plugins.register(Claiming(sections), "second")
    assert error in str(record.error)
    assert plugins.sections == {"desk": DeskOptions}
    assert plugins.faulty == [record]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([click.Option(["--desk"])], "already has the option --desk"),
        ([click.Option(["--other", "desk"])], "already has the option --other"),
        ([click.Option(["--for"])], "already has the option --for"),
        ([click.Option(["--a"]), click.Option(["--a"])], "already has the option --a"),
        ([click.Option(["--key"], required=True)], "--key is required"),
        ([click.Option(["--n"], type=int, default="x")], "'x' is not a valid integer"),
        (["--plain"], "no click.Option"),
        (None, "TypeError"),
    ],
)
def test_an_option_that_cannot_be_is_a_fault_of_its_plugin(options: Any, error: str) -> None:
    plugins = extended(Desk())
    record = plugins.register(Claiming(options=options), "second")
    own = [click.Option(["--for", "seconds"])]
    assert [option.name for option in plugins.run_options(own)] == ["desk"]
    assert error in str(record.error)
    assert plugins.faulty == [record]
