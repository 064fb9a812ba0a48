"""The timeline of a step: spans and memory over time that add up to its projection."""
