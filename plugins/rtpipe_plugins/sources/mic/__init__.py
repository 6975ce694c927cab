"""`mic`: the stage, its timeline and its capture; the parts are this stage's alone."""
