"""Regressions: many runs out of a file, each held to its bounds."""
