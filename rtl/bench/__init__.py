"""Bench-only blocks around a die or a package in co-simulation: none of it is hardware to build."""
