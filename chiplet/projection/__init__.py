"""The projection: from a request to a result."""
