"""WebSocket: events and audio on one connection, the media server's part played here."""
