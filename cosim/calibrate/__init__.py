"""Calibration: terms fitted to measured runs, and their error on held-out runs."""
