"""Every number of a projection as a term: its formula, its operands, and how well each is known."""
