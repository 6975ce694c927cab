"""Sources: what may begin a chain under `stages:`. A source's parts are its own."""
