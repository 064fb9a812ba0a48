"""The systolic array, its operand and accumulator buffers, and the units that feed it."""
