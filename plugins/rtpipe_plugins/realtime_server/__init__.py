"""A local server that speaks the OpenAI Realtime protocol over WebRTC, for offline use and tests.

`server.RealtimeServer` is the way in. Nothing is imported here: aiortc alone costs 0.4 s.
"""
