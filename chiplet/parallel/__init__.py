"""A training step on several packages: pipeline, replicas, and the traffic between packages."""
