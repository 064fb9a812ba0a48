"""Parts of a training step, each described once: graph and projection take their operators from here."""
