"""Bench-only blocks: what stands around a die or a package in co-simulation. None of it is hardware to build."""
