"""What a training step computes, stated once: passes of the vector unit and the programs made of them."""
