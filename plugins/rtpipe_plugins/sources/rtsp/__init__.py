"""`rtsp` and `url`: streams from the network; the parts are this stage's alone."""
