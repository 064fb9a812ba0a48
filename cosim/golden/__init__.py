"""Golden results in numpy, bit for bit."""
