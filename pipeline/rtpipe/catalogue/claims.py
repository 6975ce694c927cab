"""What a plugin claims beside kinds of stage: sections of the file, options of `run`, events."""

from __future__ import annotations

import importlib
import inspect
from typing import TYPE_CHECKING, Any, cast

import click

from rtpipe.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rtpipe.events import Event
    from rtpipe.stage import Options


def checked_sections(given: Any, owners: Mapping[str, str]) -> dict[str, type[Options] | str]:
    """Return what an `rtpipe_sections()` gave: models by the key of the file that they describe.

    Args:
        given: What it returned.
        owners: The plugins that have a key already.

    Raises:
        PluginError: It is no mapping of words to `rtpipe.Options` models, or to where one is
            (`module:Class`), or a key is taken.
    """
    found = dict(given)
    for key, model in found.items():
        if not isinstance(key, str) or not key.isidentifier():
            raise PluginError(f"rtpipe_sections() gave the key {key!r}; a section is a word")
        if key in owners:
            raise PluginError(f"the section `{key}` already belongs to {owners[key]}")
        if not isinstance(model, str):
            checked_model(key, model)
    return found


def checked_model(key: str, model: object) -> type[Options]:
    """Return the model of the section `key`, imported where it is a `module:Class`.

    Raises:
        PluginError: It cannot be imported, is no `rtpipe.Options` model, or the key is rtpipe's.
    """
    from rtpipe.stage import Options
    from rtpipe.vocabulary import PipelineFile, keys

    if isinstance(model, str):
        module, _, name = model.partition(":")
        try:
            model = getattr(importlib.import_module(module), name)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise PluginError(f"the section `{key}` cannot be imported: {text}") from error
    if not (inspect.isclass(model) and issubclass(model, Options)):
        raise PluginError(f"the section `{key}` has {model!r}, which is no rtpipe.Options model")
    if key in keys(PipelineFile):
        raise PluginError(f"the section `{key}` already belongs to rtpipe itself")
    return model


def checked_events(given: Any) -> tuple[type[Event] | str, ...]:
    """Return what an `rtpipe_events()` gave.

    Raises:
        PluginError: One is neither a class of events with a name nor a name.
    """
    from rtpipe.events import Event, event_type

    found = tuple(cast("Iterable[type[Event] | str]", given))
    for each in found:
        known = isinstance(each, str) or (inspect.isclass(each) and issubclass(each, Event))
        if not known or not event_type(each):
            raise PluginError(
                f"rtpipe_events() gave {each!r}, which is neither an event's class nor a name"
            )
    return found


def checked_options(given: Any, taken: Iterable[click.Parameter]) -> list[click.Option]:
    """Return what an `rtpipe_run_options()` gave.

    Args:
        given: What it returned.
        taken: The command's own parameters, and those of other plugins.

    Raises:
        PluginError: One is no `click.Option`, is required, or is taken.
        click.ClickException: A default does not fit its type.
    """
    found = list(given)
    known = list(taken)
    for option in found:
        if not isinstance(option, click.Option):
            raise PluginError(f"rtpipe_run_options() gave {option!r}, which is no click.Option")
        spelt = {option.name, *option.opts, *option.secondary_opts}
        if any(spelt & {other.name, *other.opts, *other.secondary_opts} for other in known):
            raise PluginError(f"`rtpipe run` already has the option {option.opts[-1]}")
        if option.required:
            raise PluginError(f"{option.opts[-1]} is required: pipelines without it must run, too")
        known.append(option)
    unasked(found)  # a default that its own type refuses shows here
    return found


def unasked(options: Sequence[click.Option]) -> dict[str, Any]:
    """Return the values of some options where no command line was read: their defaults."""
    command = click.Command("run", params=list(options), add_help_option=False)
    return command.make_context("run", []).params
