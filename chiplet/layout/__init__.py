"""How a die's part of the graph lies in words, and how its products are cut into blocks."""
