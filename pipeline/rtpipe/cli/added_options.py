"""A command that takes a pipeline, and the options that the pipeline's plugins add to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtpipe.catalogue.plugins import Registry
from rtpipe.catalogue.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence

_KEY = "rtpipe.added"


@dataclass(frozen=True, slots=True)
class Added:
    """What plugins add to a command.

    Attributes:
        registry: The plugins, those that the pipeline brings along included.
        options: Their options.
        values: What the command line says of those, by name.
    """

    registry: Registry = field(default_factory=Registry)
    options: Sequence[click.Option] = ()
    values: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def current(cls) -> Added:
        """Return what plugins added to the command that is running."""
        found = click.get_current_context().meta[_KEY]
        assert isinstance(found, cls)
        return found


class ExtensibleCommand(click.Command):
    """Looks for the pipeline's plugins before it reads its options, since they may add some."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters and those of plugins; installed ones by default."""
        own = super().get_params(ctx)
        if _KEY not in ctx.meta:
            ctx.meta[_KEY] = _added(Registry.discover(), own)
        return [*own, *ctx.meta[_KEY].options]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the command line; what it says of added options is kept apart."""
        own = super().get_params(ctx)
        files, folders, runs = self._brought(ctx, args)
        trust = runs and not ctx.resilient_parsing  # the shell completes a word: that is no consent
        added = ctx.meta[_KEY] = _added(_plugins_of(files, folders, trust=trust), own)
        try:
            rest = super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            for withheld in added.registry.trust.withheld:  # whose option it may be
                told = f"{error.format_message()}; {withheld.message}; {withheld.help}"
                raise click.UsageError(told, ctx) from error
            raise
        for option in added.options:
            if option.name in ctx.params:
                added.values[option.name] = ctx.params.pop(option.name)
        return rest

    def _brought(
        self, ctx: click.Context, args: Sequence[str]
    ) -> tuple[list[Path], list[Path], bool]:
        """Return what a command line brings along.

        Returns:
            The files that it may mean, the folders with more plugins, and whether their code may be
            run: who asks for help or for a dry run only looks.
        """
        glance = click.Context(
            self,
            resilient_parsing=True,
            ignore_unknown_options=True,
            help_option_names=ctx.help_option_names,
        )
        glance.meta[_KEY] = Added()
        said, rest, _ = self.make_parser(glance).parse_args(list(args))
        words = [Path(word) for word in (*_several(said.get("files")), *rest)]
        folders = [Path(folder) for folder in _several(said.get("plugins_dirs"))]
        help_option = self.get_help_option(glance)
        asks = help_option is not None and help_option.name in said
        looks = asks or said.get("dry_run")
        runs = bool(said.get("trust") or not looks)
        return [word for word in words if word.is_file()], folders, runs


def _plugins_of(files: Sequence[Path], folders: Sequence[Path], *, trust: bool) -> Registry:
    """Return the plugins that are installed, in `folders`, or brought along by pipeline files.

    Where there is no file, nothing is imported that reads one. The plugins in ./plugins count with
    those of the files. What is wrong with any of them is left for the loading to say.
    """
    registry = Registry.discover()
    if trust:
        registry.trust = Trust(everything=True)
    if files:
        from rtpipe.language.loading import add_plugins_of

        add_plugins_of(files, folders, registry)
    else:
        for folder in folders:
            registry.add_folder(folder)
    registry.add_beside(Path())
    return registry


def _several(value: Any) -> Sequence[str]:
    """Return what an option or argument was given; nothing where click has none of it."""
    return value if isinstance(value, (list, tuple)) else ()


def _added(registry: Registry, own: Sequence[click.Parameter]) -> Added:
    return Added(registry, registry.run_options(own))
