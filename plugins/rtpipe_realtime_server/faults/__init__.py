"""What the server does wrong on purpose, a module for each place where it may."""
