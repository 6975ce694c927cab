"""`mix`: the stage and its ducking; the parts are this stage's alone."""
