"""`stream`: the stage and its uploader process; the parts are this stage's alone."""
