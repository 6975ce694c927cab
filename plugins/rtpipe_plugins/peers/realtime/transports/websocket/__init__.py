"""WebSocket: events and audio on one connection, played by the dialect. For the call factory."""
