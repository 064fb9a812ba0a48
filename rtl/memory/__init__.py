"""The memory port of a die: arbiter, load unit and store unit."""
