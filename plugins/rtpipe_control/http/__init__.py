"""HTTP: who may enter, and what is answered. For the surface alone; imported late."""
