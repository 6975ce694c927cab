"""The Realtime peer: a spoken conversation with a model, as one stage of a pipeline.

The stage has an `ActiveCall`: a `Conversation` (what is said to the server) over a `Transport` (how
it travels), so that a second protocol or transport changes neither the stage nor the other.
Importing this package costs nothing heavy: aiortc comes with the first call.
"""

from rtpipe_plugins.peers.realtime.options import RealtimeOptions
from rtpipe_plugins.peers.realtime.stage import Realtime

__all__ = ["Realtime", "RealtimeOptions"]
