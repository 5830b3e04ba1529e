"""Many clips: planned, analyzed by several processes or machines, kept as they come, and summed up."""
