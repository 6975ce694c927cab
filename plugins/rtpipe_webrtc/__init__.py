"""What WebRTC needs beside aiortc: jitter buffer, playout, Opus, packet tap, guarded sockets, ICE.

A library, no plugin: for whatever holds a call, client or server.
"""
