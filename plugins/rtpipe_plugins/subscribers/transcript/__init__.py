"""`transcript`: the stage and the timing of turns; the parts are this stage's alone."""
