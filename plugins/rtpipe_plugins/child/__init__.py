"""What runs beside the event loop for a stage: processes, threads, functions of the user's."""
