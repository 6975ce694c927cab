"""Which dialect a stage speaks: the one place that knows them by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtpipe_plugins.peers.realtime.dialects.openai.dialect import OpenAIDialect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from logging import Logger
    from typing import Any

    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.dialects.dialect import Dialect
    from rtpipe_plugins.peers.realtime.events import ServerEvent
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

DIALECTS: dict[str, type[Dialect]] = {"openai": OpenAIDialect}
"""What `RealtimeOptions.dialect` may name."""


def dialect_for(options: RealtimeOptions, account: Account, log: Logger) -> Dialect:
    """Return the dialect that `options` name."""
    return DIALECTS[options.dialect](options, account, log)


def examine_dialect(options: RealtimeOptions) -> Iterable[Examined]:
    """Return what the dialect that `options` name finds wrong with them."""
    return DIALECTS[options.dialect].examine(options)


def session_change(options: RealtimeOptions, to: RealtimeOptions) -> Mapping[str, Any] | None:
    """Return what a standing call must be told to become what `to` says; see `Dialect`."""
    return DIALECTS[options.dialect].session_change(options, to)


def heard_of(options: RealtimeOptions, to: RealtimeOptions) -> str | None:
    """Return what is heard when a conversation goes by other options; None: it cannot go on."""
    if options.provider == "azure" and options.model != to.model:
        return None  # the deployment is part of the address
    if session_change(options, to) is None:
        return "the next answer, by a call that takes over at a pause and knows what was said"
    return "nothing"


def server_events() -> tuple[type[ServerEvent], ...]:
    """Return the events of servers that a stage may publish."""
    return tuple(event for dialect in DIALECTS.values() for event in dialect.server_events)
