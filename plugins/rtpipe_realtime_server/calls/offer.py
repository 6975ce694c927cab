"""An SDP offer looked at before aiortc is: what it trips over later never reaches it.

aiortc parses leniently and finds out in a task of its own, or while it closes, that a section has
no password, no fingerprint or no transport.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiortc.sdp import SessionDescription

if TYPE_CHECKING:
    from aiortc.sdp import MediaDescription

_MOST_BYTES = 64 * 1024
_MOST_SECTIONS = 4
"""Each may have sockets and tasks of its own. A browser's offer has two."""
_MOST_CANDIDATES = 64
_ROLES = ("auto", "client", "server")
_DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_UFRAG = range(4, 257)
_PASSWORD = range(22, 257)
_PORTS = range(1, 65536)


class InvalidOfferError(Exception):
    """The offer is no SDP, or none that a call can be made of."""


def checked(offer: str) -> str:
    """Return an offer that can be answered, as aiortc is to have it.

    Raises:
        InvalidOfferError: With what is wrong.
    """
    if len(offer) > _MOST_BYTES:
        raise InvalidOfferError(f"longer than {_MOST_BYTES} bytes")
    lines = offer.replace("\r\n", "\n").split("\n")
    if lines[0] != "v=0":
        raise InvalidOfferError("it does not begin with v=0")
    if "a=sendonly" in lines or "a=inactive" in lines:
        raise InvalidOfferError("nobody would hear the replies, whose clock the sender is")
    # Clients may post before they know their candidates. Without an end they need not name any: we
    # answer whoever asks with the right password (peer-reflexive candidates).
    open_ended = "\r\n".join(line for line in lines if line != "a=end-of-candidates")
    try:
        _check_sections(SessionDescription.parse(open_ended))
    except InvalidOfferError:
        raise
    except Exception as error:  # aiortc parses with asserts, indexes and int(): any of them
        raise InvalidOfferError(f"it cannot be parsed: {error!r}") from error
    return open_ended


def offers_channel(offer: str) -> bool:
    """Whether a checked offer has a place for events."""
    return "\nm=application " in offer


def _check_sections(description: SessionDescription) -> None:
    kinds = [media.kind for media in description.media]
    if kinds.count("audio") != 1 or kinds.count("application") > 1:
        raise InvalidOfferError("a call has one audio section and at most one of events")
    if len(kinds) > _MOST_SECTIONS or not set(kinds) <= {"audio", "video", "application"}:
        raise InvalidOfferError("it has sections that no call has")
    mids = [media.rtp.muxId or "" for media in description.media]
    if len(set(mids)) != len(mids):
        raise InvalidOfferError("each section needs a mid of its own")
    bundles = [sorted(group.items) for group in description.group if group.semantic == "BUNDLE"]
    if bundles != [sorted(mids)] and (bundles or len(mids) > 1):
        # As WHIP has it. On two transports aiortc goes on with the second when the first is closed.
        raise InvalidOfferError("its sections are not all in one BUNDLE")
    if sum(len(media.ice_candidates) for media in description.media) > _MOST_CANDIDATES:
        raise InvalidOfferError(f"it has more than {_MOST_CANDIDATES} candidates")
    for media in description.media:
        _check_transport(media)
        if media.kind == "application":
            _check_channel(media)


def _check_transport(media: MediaDescription) -> None:
    if not media.port:
        raise InvalidOfferError("a section is turned off")
    ice, dtls = media.ice, media.dtls
    name, password = (ice.usernameFragment, ice.password) if ice else (None, None)
    if len(name or "") not in _UFRAG or len(password or "") not in _PASSWORD:
        raise InvalidOfferError("a section lacks its ice-ufrag and ice-pwd")
    if dtls is None or dtls.role not in _ROLES or not dtls.fingerprints:
        raise InvalidOfferError("a section lacks its fingerprint or its setup")
    for fingerprint in dtls.fingerprints:
        digits = fingerprint.value.split(":")
        if len(digits) != _DIGESTS.get(fingerprint.algorithm.lower(), len(digits)):
            raise InvalidOfferError("a fingerprint has not the length of its kind")
    if not any(each.algorithm.lower() in _DIGESTS for each in dtls.fingerprints):
        raise InvalidOfferError("no fingerprint is of a kind that we know")


def _check_channel(media: MediaDescription) -> None:
    port = media.sctp_port
    if media.profile == "DTLS/SCTP":
        text = str(media.fmt[0])
        port = int(text) if text.isascii() and text.isdigit() else None
    elif "webrtc-datachannel" not in media.fmt:
        raise InvalidOfferError("the section of events is for something else")
    if port not in _PORTS:
        raise InvalidOfferError("the section of events lacks its sctp-port")
