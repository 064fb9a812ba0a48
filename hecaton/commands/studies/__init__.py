"""Subcommands that run many projections."""
