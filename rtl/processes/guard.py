"""Guard of one process: kills its children and removes its temporary folders once the process has ended.

It runs as a script in an isolated Python and a session of its own. The guarded process holds the other end of the pipe
that is the guard's standard input. The system closes it when the process ends, whatever ended it: that is the only
event the guard waits for. Until then it reads what there is to end and to remove, one message a line:

- ``start TOKEN``: a child is about to start, with TOKEN in its environment as the variable HECATON_CHILD;
- ``group TOKEN PID``: it did, as the leader of the process group PID;
- ``ended TOKEN``: the whole group has ended;
- ``path PATH`` and ``removed PATH``: a temporary folder or file, its path as hexadecimal digits.

A child holds the pipe until it executes its program, so at the end of the input every child has the environment by
which it is found if the process ended between ``start`` and ``group``.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress

VARIABLE = "HECATON_CHILD"
END_SECONDS = 10.0
"""How long the guard waits for killed processes to go before it removes their files all the same."""


def main() -> None:
    """Read messages up to the end of the input, then end and remove what is left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.chdir("/")
    starting: set[str] = set()
    groups: dict[str, int] = {}
    paths: set[str] = set()
    for line in sys.stdin:
        verb, value, *pid = line.split()
        if verb == "start":
            starting.add(value)
        elif verb == "group":
            starting.discard(value)
            groups[value] = int(pid[0])
        elif verb == "ended":
            starting.discard(value)
            groups.pop(value, None)
        elif verb == "path":
            paths.add(value)
        else:
            paths.discard(value)
    end({*groups.values(), *groups_with(starting)})
    for path in paths:
        remove(os.fsdecode(bytes.fromhex(path)))


def groups_with(tokens: Iterable[str]) -> set[int]:
    """Process groups of the processes that have one of ``tokens`` in their environment."""
    wanted = {f"{VARIABLE}={token}".encode() for token in tokens}
    if not wanted:
        return set()
    groups = set()
    for pid in processes():
        with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as stream:  # noqa: PTH123
            if not wanted.isdisjoint(stream.read().split(b"\0")):
                groups.add(os.getpgid(pid))
    return groups


def processes() -> list[int]:
    """All processes; none where the system does not list them in /proc."""
    with suppress(OSError):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 - pathlib loads slowly
    return []


def end(groups: Iterable[int]) -> None:
    """Kill the process groups and wait until they are gone."""
    left = set(groups)
    deadline = time.monotonic() + END_SECONDS
    while left and time.monotonic() < deadline:
        for group in left:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)
        left &= running_groups()
        if left:
            time.sleep(0.005)


def running_groups() -> set[int]:
    """Process groups with a process that is more than a zombie, which waits for its parent only."""
    groups = set()
    for pid in processes():
        with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as stream:  # noqa: PTH123
            state, _, group, *_ = stream.read().rpartition(b")")[2].split()
            if state not in (b"Z", b"X"):
                groups.add(int(group))
    return groups


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it."""
    try:
        os.unlink(path)  # noqa: PTH108
    except FileNotFoundError:
        return
    except OSError:
        import shutil

        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
