"""Numbers of a design's blocks in dies of other rows and columns, and the dies that they are told from."""
