"""`speaker`: the stage and its playback buffer; the parts are this stage's alone."""
