"""NoP engine: send and receive units between the links and the scratchpad."""
