"""Connections: HTTP, WebRTC and WebSocket, and the sessions behind them."""
