"""Session negotiation: what was asked for, what the server shows, and what is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtpipe_plugins.peers.realtime.dialects.openai.messages import difference

if TYPE_CHECKING:
    from collections.abc import Mapping


class SessionCheck:
    """Whether the session is the one that was asked for.

    Args:
        wanted: The session object.
        given: Whether the server has had it with the offer; then only what it shows differently is
            asked for again.
    """

    def __init__(self, wanted: Mapping[str, Any], *, given: bool) -> None:
        self._wanted = {key: value for key, value in wanted.items() if key != "model"}
        self._given = given
        self._asked: str | None = None
        self.announced = False
        """Whether the server has shown its session."""
        self.over = False
        """Whether the session stands."""
        self.expires_at: float | None = None
        """See `Conversation.expires_at`."""

    def shown(self, session: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take the server's session; returns what is to be asked for, nothing if all is well."""
        self.announced = True
        self.changed(session)
        if self.over or self._asked is not None:
            return {}
        return difference(self._wanted, session) if self._given else self._wanted

    def changed(self, session: Mapping[str, Any]) -> None:
        """Take what the server shows of the session at any time."""
        ends = session.get("expires_at")
        if isinstance(ends, int | float):
            self.expires_at = ends if ends > 0 else None

    @property
    def waiting(self) -> bool:
        """Whether the server has been asked again and has not answered."""
        return self._asked is not None

    def asked(self, event_id: str) -> None:
        """The update that an error about it will name."""
        self._asked = event_id

    def refused(self, event_id: str) -> bool:
        """Take an error; returns whether it was about the update."""
        return bool(event_id) and event_id == self._asked

    @property
    def survives(self) -> bool:
        """Whether a refused update leaves a session: the server took the same one before."""
        return self._given

    def end(self) -> None:
        """The session stands, or has to do."""
        self.over = True
        self._asked = None
