"""The protocol of one session: conversation, responses, turns. No input or output."""
