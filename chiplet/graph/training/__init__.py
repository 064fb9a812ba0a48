"""The graph of a training step with the Hecaton method, part by part."""
