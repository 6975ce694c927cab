"""What can be typed after `rtpipe`; `root` alone names what is here."""
