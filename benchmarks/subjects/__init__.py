"""What is measured, each in a process of its own; what a module imports, its interpreter has."""
