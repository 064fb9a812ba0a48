"""One training step on one package: what it demands, how long it takes, and its energy."""
