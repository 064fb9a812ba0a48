"""The scratchpad, the units that move words to and from it, and the arbiter of the memory port."""
