"""WebRTC: a call by aiortc. For the call factory, and for a probe's call to itself."""
