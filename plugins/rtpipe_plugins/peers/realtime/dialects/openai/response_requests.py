"""Asking for responses: one at a time, and none before the session stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.openai.sequencer import Sequencer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rtpipe_plugins.peers.realtime.dialects.conversation import Output
    from rtpipe_plugins.peers.realtime.dialects.openai.commands import Commands
    from rtpipe_plugins.peers.realtime.dialects.openai.responses import Responses
    from rtpipe_plugins.peers.realtime.dialects.openai.session_check import SessionCheck


class ResponseRequests:
    """What the model is to say next, by our request.

    Args:
        commands: Makes the commands.
        session: Whether it stands.
        responses: Whether one is being generated.
    """

    def __init__(self, commands: Commands, session: SessionCheck, responses: Responses) -> None:
        self._commands = commands
        self._session = session
        self._responses = responses
        self.sequencer = Sequencer()
        """The requests that wait or are not answered."""

    def want(self, response: Mapping[str, Any]) -> list[Output]:
        """Have the model take its turn; `response` overrides the session for this once."""
        self.sequencer.want(response)
        return self.due()

    def due(self) -> list[Output]:
        """Return the requests whose time has come."""
        sent: list[Output] = []
        while self._session.over:
            busy = self._responses.generating
            response = self.sequencer.due(self._commands.next_id, busy=busy)
            if response is None:
                break
            fields = {"response": response} if response else {}
            sent.append(self._commands.make("response.create", **fields))
        return sent
