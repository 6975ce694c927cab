"""`rtpipe doctor`: the command and its ear; the parts are this command's alone."""
