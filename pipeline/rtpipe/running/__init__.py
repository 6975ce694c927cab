"""What moves the audio of one pipeline. Only the command and programs use it."""
