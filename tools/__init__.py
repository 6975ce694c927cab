"""What the developers of rtpipe run; not part of the package."""
