"""OpenAI's Realtime API as a dialect: made of the options, for the calls of one stage.

What a call is made of is imported with the first one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rtpipe_plugins.peers.realtime.account import Mask
from rtpipe_plugins.peers.realtime.dialects.openai.vocabulary import SERVER_EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from logging import Logger

    from rtpipe.examination import Examined
    from rtpipe_plugins.peers.realtime.account import Account
    from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import FalseInterruptions
    from rtpipe_plugins.peers.realtime.dialects.openai.history import RealtimeHistory
    from rtpipe_plugins.peers.realtime.dialects.openai.media_server import RealtimeMediaServer
    from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol
    from rtpipe_plugins.peers.realtime.dialects.openai.signaling import RealtimeSignaling
    from rtpipe_plugins.peers.realtime.events import ServerEvent
    from rtpipe_plugins.peers.realtime.loudspeaker_position import LoudspeakerPosition
    from rtpipe_plugins.peers.realtime.options import RealtimeOptions

_LATE_S = 1.0


class OpenAIDialect:
    """See `Dialect`."""

    server_events: ClassVar[tuple[type[ServerEvent], ...]] = SERVER_EVENT_TYPES
    data_channel: ClassVar[str] = "oai-events"

    def __init__(self, options: RealtimeOptions, account: Account, log: Logger) -> None:
        from rtpipe_plugins.peers.realtime.dialects.openai.session_object import session_object
        from rtpipe_plugins.peers.realtime.dialects.openai.signaling import OfferForm

        self._options = options
        self._account = account
        self._log = log
        self._session = session_object(options)
        self._mask = Mask([account.key.get_secret_value(), *options.secrets()])
        self._over_websocket = options.transport != "webrtc"
        self._form = OfferForm(account)

    @staticmethod
    def examine(options: RealtimeOptions) -> Iterable[Examined]:
        """See `Dialect.examine`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.session_object import examine

        return examine(options)

    @staticmethod
    def session_change(options: RealtimeOptions, to: RealtimeOptions) -> Mapping[str, Any] | None:
        """See `Dialect.session_change`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.session_object import session_change

        return session_change(options, to)

    def conversation(self) -> RealtimeProtocol:
        """See `Dialect.conversation`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.protocol import RealtimeProtocol

        return RealtimeProtocol(
            self._wire_session() if self._over_websocket else self._session,
            given=self._session_given,
            mask=self._mask,
            log=self._log,
            tools=self._options.own_tools(),
            approvals=self._options.approvals(),
            false_interruptions=self._judge(),
            audio_in_events=self._over_websocket,
        )

    def _session_given(self) -> bool:
        """Return whether the server of a call that has just been placed has had the session."""
        asked_later = self._over_websocket or self._account.has_ephemeral_key
        return not (asked_later or self._form.plain)

    def _wire_session(self) -> dict[str, Any]:
        from rtpipe_plugins.peers.realtime.dialects.openai.media_server import WIRE_SESSION
        from rtpipe_plugins.peers.realtime.dialects.openai.session_object import merged

        return merged(self._session, WIRE_SESSION)

    def _judge(self) -> FalseInterruptions | None:
        wanted = self._options.false_interruption
        if wanted is None:
            return None
        from rtpipe_plugins.peers.realtime.dialects.openai.false_interruption import (
            FalseInterruptions,
        )

        return FalseInterruptions(wanted.min_speech_ms, wanted.words_ms)

    def signaling(self) -> RealtimeSignaling:
        """See `Dialect.signaling`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.signaling import RealtimeSignaling

        azure = self._account.provider == "azure" and not self._over_websocket
        return RealtimeSignaling(
            self._account,
            self._session,
            self._form,
            ephemeral=self._options.ephemeral or azure,
            # An answer that comes too late still names a call that must be hung up.
            timeout_s=self._options.connect_timeout_s + _LATE_S,
            mask=self._mask,
            log=self._log,
        )

    def media_server(self, loudspeaker: LoudspeakerPosition) -> RealtimeMediaServer:
        """See `Dialect.media_server`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.media_server import RealtimeMediaServer

        return RealtimeMediaServer(loudspeaker, self._log)

    def history(self) -> RealtimeHistory:
        """See `Dialect.history`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.history import RealtimeHistory

        return RealtimeHistory(self._options.history_items)

    def update(self, session: Mapping[str, Any]) -> None:
        """See `Dialect.update`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.session_object import merged

        self._session = merged(self._session, session)

    def change(self, options: RealtimeOptions) -> None:
        """See `Dialect.change`."""
        from rtpipe_plugins.peers.realtime.dialects.openai.session_object import (
            merged,
            session_object,
        )

        change = self.session_change(self._options, options)
        # what an action has changed stays, as long as the call does
        self._session = session_object(options) if change is None else merged(self._session, change)
        self._options = options
        self._mask = Mask([self._account.key.get_secret_value(), *options.secrets()])
