"""Design spaces: thousands of points, evaluated as arrays."""
