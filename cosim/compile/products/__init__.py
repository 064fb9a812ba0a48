"""GEMMs of what a die holds: how they are cut into blocks, and the commands that feed, multiply and drain."""
