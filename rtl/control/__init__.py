"""Command processor, registers and counters of a die."""
