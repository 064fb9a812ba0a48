"""A compiled step as people see it, and what its programs keep: assembly, sizes, and checks of all dies together."""
