"""The OpenAI Realtime API: all that knows one of its event names."""
