"""Fixtures for those who test stages and pipeline files: pytest finds them by an entry point.

Nothing of rtpipe is imported before a test asks for one of them.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from rtpipe.events import Event
    from rtpipe.running.runtime import Pipeline
    from rtpipe.stage import Stage

    Script: TypeAlias = str | Sequence[Mapping[str, Any]] | Mapping[str, Any]


__all__ = ["PipelineRunner", "ScriptWriter", "run_pipeline", "scripted_peer", "virtual_time"]
__provisional__ = frozenset(__all__)
"""What may still change at any time."""


class PipelineRunner:
    """What the fixture `run_pipeline` gives: runs pipelines in virtual time.

    Args:
        folder: Where the relative paths of a text start from.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        pipeline: Pipeline | Path | str,
        match: str | Iterable[str] = "*",
        *,
        stages: Iterable[type[Stage[Any]]] = (),
        sets: Sequence[str] = (),
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> list[Event]:
        """Run a whole pipeline to its end in virtual time, and check every frame on every edge.

        Args:
            pipeline: A file's path; or the text of one, whose relative paths start from the
                test's `tmp_path`; or what `rtpipe.load` gives.
            match: Which events to return, by name or glob.
            stages: Stages that no installed plugin has: those of the test, or under test.
            sets: `key=value` each, on top of everything: `gain.gain_db=-3`.
            profile: One of the file's profiles.
            env: The environment; None: the process's own.

        Returns:
            The events that it published, in order.

        Raises:
            ConfigError: The file is wrong.
            PluginError: A stage cannot be used.
            RtpipeError: What ended the pipeline.
        """
        from rtpipe import load, loads
        from rtpipe.testing import run_pipeline

        plugins = [_Stages(stages)]
        if isinstance(pipeline, str):
            pipeline = loads(
                pipeline,
                path=self._folder / "pipeline.yaml",
                plugins=plugins,
                sets=sets,
                profile=profile,
                env=env,
                check=True,
                trust=True,
            )
        elif isinstance(pipeline, Path):
            pipeline = load(
                pipeline,
                plugins=plugins,
                sets=sets,
                profile=profile,
                env=env,
                check=True,
                trust=True,
            )
        return run_pipeline(pipeline, match)


class ScriptWriter:
    """What the fixture `scripted_peer` gives: makes a Realtime peer follow a script, in memory.

    Args:
        folder: Where the scripts are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def __call__(self, script: Script, *, id: str = "realtime") -> list[str]:
        """Return what a Realtime peer is to be set to, so that it follows `script`.

        The call needs no network and no model, and takes no time: give the result to
        `run_pipeline` as `sets`.

        Args:
            script: Its turns, `[{"transcribe": "Where?", "say": "On the left."}]`; or what a
                script of `rtpipe serve-realtime` holds, as a mapping or as YAML.
            id: The peer's id in the file.
        """
        self._count += 1
        path = self._folder / f"script-{self._count}.yaml"
        if not isinstance(script, str):
            whole = script if hasattr(script, "keys") else {"turns": list(script)}
            script = json.dumps(whole)
        path.write_text(script, "utf-8")
        options = {"provider": "embedded", "transport": "memory", "script": str(path)}
        return [f"{id}.{option}={json.dumps(value)}" for option, value in options.items()]


class _Stages:
    """A plugin made of classes, without those that are installed."""

    def __init__(self, stages: Iterable[type[Stage[Any]]]) -> None:
        from rtpipe import hookimpl
        from rtpipe.catalogue.plugins import Registry

        stages = tuple(stages)
        if stages:
            installed = Registry.discover().kinds
            stages = tuple(each for each in stages if installed.get(each.kind) is not each)

        def rtpipe_stages() -> Iterable[type[Stage[Any]]]:
            return stages

        self.rtpipe_stages = hookimpl(rtpipe_stages)


@pytest.fixture
def run_pipeline(tmp_path: Path) -> PipelineRunner:
    """Run a pipeline, a file or a text, to its end in virtual time: see `PipelineRunner`."""
    return PipelineRunner(tmp_path)


@pytest.fixture
def scripted_peer(tmp_path_factory: pytest.TempPathFactory) -> ScriptWriter:
    """Make a Realtime peer follow a script, in memory: see `ScriptWriter`."""
    return ScriptWriter(tmp_path_factory.mktemp("scripts"))


@pytest.fixture
def virtual_time() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Run an `async def` test in virtual time; a plain test calls it with a coroutine."""
    from rtpipe.testing import run_virtual

    return run_virtual


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test that asks for `virtual_time`, whoever else would have run it."""
    if "virtual_time" not in pyfuncitem.fixturenames:
        return None
    test = inspect.unwrap(pyfuncitem.obj)  # pytest-asyncio has wrapped it
    if not inspect.iscoroutinefunction(test):
        return None
    arguments = inspect.signature(test).parameters
    given = {name: value for name, value in pyfuncitem.funcargs.items() if name in arguments}
    in_virtual_time: Any = pyfuncitem.funcargs["virtual_time"]
    in_virtual_time(test(**given))
    return True
