"""Subcommands of ``hecaton cosim``: each runs a bench and prints its record."""
