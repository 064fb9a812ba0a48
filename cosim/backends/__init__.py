"""Simulator backends: each builds a design once and runs cocotb benches on it."""
