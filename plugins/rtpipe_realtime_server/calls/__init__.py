"""Connections: HTTP, WebRTC and WebSocket, and the sessions behind them. For the server alone."""
