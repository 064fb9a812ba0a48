"""The published claims over a stated space of assumptions: where each is reached, and what it needs."""
