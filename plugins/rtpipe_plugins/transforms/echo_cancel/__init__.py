"""`echo_cancel`: the stage and its reference signal; the parts are this stage's alone."""
