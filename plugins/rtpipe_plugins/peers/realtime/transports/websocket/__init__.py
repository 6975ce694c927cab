"""WebSocket: events and audio on one connection, played by the dialect's media server."""
