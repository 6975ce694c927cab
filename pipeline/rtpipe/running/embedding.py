"""Pipelines in a program: loaded from files or from a text, and run with or without a loop."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rtpipe.catalogue.plugins import Registry
from rtpipe.errors import PluginError
from rtpipe.language import loading
from rtpipe.running import bounded
from rtpipe.running.runtime import Pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rtpipe.language.loading import Loaded
    from rtpipe.language.spec import PipelineSpec


def load(  # noqa: PLR0913 - keywords, each of which may be left out
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    *,
    plugins: Iterable[object] = (),
    sets: Sequence[str] = (),
    profile: str | None = None,
    env: Mapping[str, str] | None = None,
    examine: Literal["file", "machine"] | None = None,
    check: bool = False,
    trust: bool = False,
    variant: Sequence[str | int] = (),
    revise: Callable[[PipelineSpec], PipelineSpec] | None = None,
) -> Pipeline:
    """Return the pipeline that a file holds, or several with later ones on top; opens nothing.

    Args:
        files: The pipeline file, or it and its overlays.
        plugins: Modules and objects with `@hookimpl`s, beside the plugins that are installed.
        sets: `key=value` each, on top of everything: `gain.gain_db=-3`.
        profile: One of the file's profiles.
        env: The environment; None: the process's own.
        examine: How closely the stages examine themselves: `file`: what the file ships and gets
            wrong is an error, too; `machine`: what this machine lacks is a warning. None: not at
            all.
        check: Assert the rules of frames on every edge.
        trust: Run the code that the files bring along: in `plugins/` beside them, and what they
            name in `plugins:`. Else only that of folders which were trusted before, by
            `rtpipe trust`, by a run or by `RTPIPE_TRUST=1`.
        variant: Where in the files a mapping stands whose `profile`, `vars`, `stages` and `events`
            are put on top, as a profile's are: `("tests", "cases", 0)`.
        revise: Changes the checked pipeline before it is put together. None: nothing is changed.

    Raises:
        ConfigError: With everything that is wrong.
        PluginError: A plugin cannot be used, or refuses the pipeline.
    """
    named = [files] if isinstance(files, (str, os.PathLike)) else files
    paths, plugins = [Path(path) for path in named], tuple(plugins)

    def read() -> Loaded:
        return loading.load(
            paths,
            registry=_registry(plugins),
            sets=sets,
            profile=profile,
            env=env,
            examine=examine,
            trust=trust,
            variant=variant,
            revise=revise or _as_it_is,
        )

    loaded = read()
    made = Pipeline(loaded.graph, check=check, registry=loaded.registry, warnings=loaded.warnings)
    made.loader = read
    return made


def loads(  # noqa: PLR0913 - keywords, as those of `load`
    text: str,
    *,
    path: str | os.PathLike[str] = "<text>",
    plugins: Iterable[object] = (),
    sets: Sequence[str] = (),
    profile: str | None = None,
    env: Mapping[str, str] | None = None,
    examine: Literal["file", "machine"] | None = None,
    check: bool = False,
    trust: bool = False,
) -> Pipeline:
    """Return the pipeline that a YAML text holds; opens nothing.

    Args:
        text: What could stand in a pipeline file.
        path: What diagnostics call it; relative paths in it start from this one's folder.
        plugins: As for `load`, and so is all else.
        sets: On top of everything.
        profile: One of the text's profiles.
        env: The environment.
        examine: How closely the stages examine themselves.
        check: Assert the rules of frames on every edge.
        trust: Run the code that the text, and the folder of `path`, bring along.

    Raises:
        ConfigError: With everything that is wrong.
        PluginError: A plugin cannot be used, or refuses the pipeline.
    """
    loaded = loading.from_text(
        text,
        path=Path(path),
        registry=_registry(plugins),
        sets=sets,
        profile=profile,
        env=env,
        examine=examine,
        trust=trust,
    )
    return Pipeline(loaded.graph, check=check, registry=loaded.registry, warnings=loaded.warnings)


def run(*pipelines: Pipeline) -> None:
    """Run pipelines to their end in an event loop of its own, as `asyncio.run` would.

    Several run beside one another; where one fails, the others go on. Ctrl-C closes every stage and
    raises KeyboardInterrupt.

    Raises:
        RtpipeError: What ended it; of several, once all have ended, what ended the first given of
            those that failed.
    """
    bounded.run(_run(pipelines))


async def _run(pipelines: Sequence[Pipeline]) -> None:
    ends = [pipeline.run() for pipeline in pipelines]
    for failure in await asyncio.gather(*ends, return_exceptions=True):
        if failure is not None:
            raise failure


def _as_it_is(spec: PipelineSpec) -> PipelineSpec:
    return spec


def _registry(plugins: Iterable[object]) -> Registry:
    registry = Registry.discover()
    for plugin in plugins:
        record = registry.register(plugin)
        if record.error is not None:
            raise PluginError(f"the plugin `{record.name}` cannot be used: {record.error}")
    return registry
