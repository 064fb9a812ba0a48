"""Acceptance: commands whose results are compared with the bounds that the project promises."""
