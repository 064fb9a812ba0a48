"""Settings of all tests: the same examples in every run, and no time limit on one of them."""

from hypothesis import settings

settings.register_profile("hecaton", derandomize=True, deadline=None)
settings.load_profile("hecaton")
