"""Regressions: matrices of runs, each checked against bounds."""
