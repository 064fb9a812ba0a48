"""The schedule of a training step: what fits the buffers, and in which order it runs."""
