"""Predicted cycles of programs, collectives and traffic."""
