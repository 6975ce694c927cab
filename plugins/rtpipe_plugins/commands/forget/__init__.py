"""`rtpipe forget`: the command, and how it finds and deletes; the parts are its alone."""
