"""What the server does wrong on purpose, a module for each place. For calls and scripts."""
