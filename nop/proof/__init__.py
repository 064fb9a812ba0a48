"""Proofs about collectives and routes, which tests and docs run: nothing in production imports them."""
