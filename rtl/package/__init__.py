"""The package: compute dies, IO dies, memory plane, and the links between them."""
