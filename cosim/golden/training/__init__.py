"""Training steps in numpy: the graph bit for bit, and a float64 reference."""
