"""The protocol of one session, without input or output. For the calls and the brains."""
