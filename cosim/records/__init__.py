"""Requests and measurement records."""
