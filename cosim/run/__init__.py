"""Runs of benches: from a request to a record."""
