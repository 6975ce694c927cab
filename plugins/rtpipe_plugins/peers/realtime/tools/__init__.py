"""Tools: what the model may call, and running it. For the stage, its options and dialects."""
