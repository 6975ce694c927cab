"""A camera: gst-rtsp-server with one stream of each sort. Run by Debian's own Python, for its `gi`.

    /usr/bin/python3 server.py OPEN BASIC DIGEST

serves the same paths on three ports; the last two want user `cam`, password `s3cret`. Every stream
is a quiet 500 Hz tone with a loud 20 ms tick of 3 kHz each second.
"""

import sys
from collections.abc import Callable

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402 - only now there are such modules

SOUND = (
    "audiotestsrc is-live=true wave=ticks freq=3000 volume=0.5 sine-periods-per-tick=60 "
    "! audio/x-raw,rate=48000,channels=1 ! mix{n}. "
    "audiotestsrc is-live=true freq={hz} volume=0.05 ! audio/x-raw,rate=48000,channels=1 ! mix{n}. "
    "audiomixer name=mix{n} ! audioconvert ! audioresample ! audio/x-raw,rate={rate},channels=1 "
    "! {codec} name=pay{n} pt={pt}"
)
PICTURE = (
    "videotestsrc is-live=true ! video/x-raw,width=160,height=120,framerate=10/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 "
    "! rtph264pay name=pay{n} pt=96"
)
AAC = "avenc_aac bitrate=64000 ! aacparse ! rtpmp4gpay"
OPUS = "opusenc bitrate=64000 ! rtpopuspay"
MULAW = "mulawenc ! rtppcmupay"
ALAW = "alawenc ! rtppcmapay"


def sound(n: int, codec: str, *, rate: int = 48_000, pt: int = 97, hz: int = 500) -> str:
    return SOUND.format(n=n, codec=codec, rate=rate, pt=pt, hz=hz)


PATHS = {
    "/aac": sound(0, AAC),
    "/opus": sound(0, OPUS),
    "/pcmu": sound(0, MULAW, rate=8000, pt=0),
    "/pcma": sound(0, ALAW, rate=8000, pt=8),
    "/av": f"{PICTURE.format(n=0)} {sound(1, AAC)}",
    "/two": f"{sound(0, OPUS)} {sound(1, ALAW, rate=8000, pt=8, hz=700)}",
    "/video": PICTURE.format(n=0),
}


def serve(port: str, method: GstRtspServer.RTSPAuth | None = None) -> None:
    """Serve every path on `port`, to whoever `method` lets in."""
    server = GstRtspServer.RTSPServer(address="127.0.0.1", service=port)
    for path, launch in PATHS.items():
        factory = GstRtspServer.RTSPMediaFactory(launch=f"( {launch} )", shared=True)
        if method is not None:
            role = "user, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"
            factory.add_role_from_structure(Gst.Structure.from_string(role)[0])
        server.get_mount_points().add_factory(path, factory)
    if method is not None:
        server.set_auth(method)
    if server.attach(None) == 0:
        sys.exit(f"cannot serve on port {port}")


def guarded(admit: Callable[[GstRtspServer.RTSPAuth, GstRtspServer.RTSPToken], None]):  # noqa: ANN201 - `gi` has no types
    """Return the door: `admit` tells it who is let in, and how they prove it."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    admit(auth, token)
    return auth


def basic(auth: GstRtspServer.RTSPAuth, token: GstRtspServer.RTSPToken) -> None:
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic("cam", "s3cret"), token)


def digest(auth: GstRtspServer.RTSPAuth, token: GstRtspServer.RTSPToken) -> None:
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest("cam", "s3cret", token)


if __name__ == "__main__":
    gi.require_version("GstRtsp", "1.0")
    from gi.repository import GstRtsp

    Gst.init(None)
    serve(sys.argv[1])
    serve(sys.argv[2], guarded(basic))
    serve(sys.argv[3], guarded(digest))
    sys.stdout.write("serving\n")
    sys.stdout.flush()
    GLib.MainLoop().run()
