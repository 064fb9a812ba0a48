"""Training steps on a package: memories, runs, records and checkpoints."""
