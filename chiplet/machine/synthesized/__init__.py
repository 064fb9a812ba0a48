"""Reports of synthesis: the dies that they speak of, and what a projection takes from them."""
