"""What is installed: plugins and kinds, and how they are described to people and editors."""
