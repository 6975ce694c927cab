"""`recorder`: the stage and its files; the parts are this stage's alone."""
