"""Settings of all tests: the same examples in every run, no time limit on one of them, and interrupts that arrive."""

import signal

from hypothesis import settings

# A shell starts what it runs in the background with interrupts ignored, and so would be whatever the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("hecaton", derandomize=True, deadline=None)
settings.load_profile("hecaton")
