"""Formulas that hold for one machine, or for arrays of machines."""
