"""One training step on one package: the quickest way to run it, how long it takes, and its energy."""
