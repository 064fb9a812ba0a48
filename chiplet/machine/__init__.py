"""The machine: its specifications, its configuration keys, and the cycle terms of its hardware."""
