"""Commands: what may be typed after `rtpipe`."""
