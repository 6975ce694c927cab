"""The commands that look at running pipelines and steer them, by the private socket."""
