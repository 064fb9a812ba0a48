"""Operators of a step on the units of a die: how long each takes, and the order of all dies' programs."""
