"""`mute_gate`: the stage and when it is open; the parts are this stage's alone."""
