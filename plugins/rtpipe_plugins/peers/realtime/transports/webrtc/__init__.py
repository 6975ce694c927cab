"""WebRTC: a call by aiortc. Imported with the first such call."""
