"""What a route, the command line or a page may have the stage `realtime` do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe import Peer, action
from rtpipe_plugins.peers.realtime.options import RealtimeOptions
from rtpipe_plugins.peers.realtime.tools.pictures import data_url

if TYPE_CHECKING:
    from rtpipe_plugins.peers.realtime.call.active_call import ActiveCall


class Actions(Peer[RealtimeOptions]):
    """The actions; each is an order to the conversation of the line that serves."""

    def _in_call(self) -> ActiveCall:
        """Return the line that serves.

        Raises:
            NotConnected: None does.
        """
        raise NotImplementedError

    @action
    def say(self, text: str) -> None:
        """Have the model speak this text."""
        line = self._in_call()
        line.carry_out(line.conversation.say(text))

    @action
    def text(self, text: str) -> None:
        """Put this text to the model as the visitor's words, and have it answered."""
        line = self._in_call()
        line.carry_out(line.conversation.text(text))

    @action
    def image(self, source: str, text: str = "") -> None:
        """Show the model a picture: a PNG or JPEG file of at most 190 kB, or a data URL.

        With a `text` that is put to the model too, and answered; without, it is there to be asked
        about.
        """
        url = data_url(source)
        line = self._in_call()
        line.carry_out(line.conversation.image(url, text))

    @action
    def respond(self, **response: Any) -> None:
        """Have the model take its turn; keys of OpenAI's response object override the session."""
        line = self._in_call()
        line.carry_out(line.conversation.respond(response))

    @action
    def cancel(self) -> None:
        """Silence the model at once, here and at the server, and drop what it was still to say."""
        line = self._in_call()
        line.carry_out(line.conversation.cancel())

    @action
    def press(self) -> None:
        """Begin the visitor's turn: a push-to-talk key goes down. The model falls silent."""
        line = self._in_call()
        line.carry_out(line.conversation.press())

    @action
    def release(self) -> None:
        """End the turn that `press` began and have it answered, unless it was shorter than 100 ms.

        Without `press` before it, it does nothing.
        """
        line = self._in_call()
        line.carry_out(line.conversation.release())

    @action
    def clear(self) -> None:
        """Forget what the visitor has said in this turn."""
        line = self._in_call()
        line.carry_out(line.conversation.clear())

    @action
    def commit(self) -> None:
        """End the visitor's turn, and leave the answering to `respond`."""
        line = self._in_call()
        line.carry_out(line.conversation.commit())
