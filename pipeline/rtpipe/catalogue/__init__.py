"""What is installed and what it offers. The loader, the command and the runtime ask it."""
