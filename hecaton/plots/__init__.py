"""Plots of results, as files."""
