"""Operators of the graph on a die: what they hold, and the steps that carry them out."""
