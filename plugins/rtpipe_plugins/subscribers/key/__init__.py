"""`key`: keys of an input device or of the terminal; the kind and its parts, for itself alone."""
