"""Commands: what may be typed after `rtpipe`. Nobody imports them."""
