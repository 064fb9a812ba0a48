"""Benchmarks: how fast the simulators run, how the generator scales."""
