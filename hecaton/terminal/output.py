"""Output of a subcommand: its result goes to stdout, everything else to stderr."""

from __future__ import annotations

import io
import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from hecaton.terminal.errors import CheckFailed

if TYPE_CHECKING:
    from rich.console import RenderableType


LINE_SECONDS = 10.0
"""Seconds from one line of progress to the next, where stderr is no terminal."""


def with_preset(view: RenderableType, preset: str) -> RenderableType:
    """``view`` with the ``preset`` that the machine starts from as its last line."""
    if isinstance(view, str):
        return f"{view}\npreset {preset}"
    from rich.console import Group

    return Group(view, f"preset {preset}")


class Output:
    """The output of one subcommand, as a context.

    With ``as_json`` the result becomes exactly one JSON object on stdout. Anything else that is printed inside the
    context, by this process or by one that it starts, goes to stderr. Otherwise the result is shown as a table. The
    result is printed when the context ends, also after a failed check; after any other error nothing is printed.
    """

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._data: Mapping[str, Any] | None = None
        self._view: RenderableType = ""
        self._preset = ""
        self._remark: Callable[[ValueError], str] = lambda _: ""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        if self._as_json:
            self._stack.enter_context(_stdout_to_stderr())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if isinstance(error, ValueError) and (remark := self._remark(error)):
            error.add_note(remark)
        if self._data is None or (kind is not None and not issubclass(kind, CheckFailed)):
            return
        if self._as_json:
            sys.stdout.write(to_json(self._data) + "\n")
        elif isinstance(self._view, str):
            sys.stdout.write(self._view + "\n")
        else:
            from rich.console import Console

            from hecaton.terminal.tables import print_whole

            if sys.stdout.isatty():
                print_whole(Console(highlight=False), self._view)
            else:
                sys.stdout.write(as_text(self._view))
        sys.stdout.flush()

    def result(self, data: Mapping[str, Any], view: RenderableType) -> None:
        """Set the result: ``data`` for ``--json``, ``view`` (text or a rich table) for a reader."""
        self._data = {**data, "preset": self._preset} if self._preset else data
        self._view = with_preset(view, self._preset) if self._preset and not self._as_json else view

    def configured(self, preset: str, remark: Callable[[ValueError], str] | None = None) -> None:
        """Name ``preset``, which the machine starts from, in the result. ``remark`` returns what to add to an error
        of this machine; empty if there is nothing.
        """
        self._preset = preset
        if remark is not None:
            self._remark = remark

    @property
    def preset(self) -> str:
        """The preset of the machine; empty before :meth:`configured` named one."""
        return self._preset

    def warn(self, text: str) -> None:
        """Print ``text`` on stderr, with ``--json`` too: without it the result would be misread."""
        print(text, file=sys.stderr)  # noqa: T201

    def note(self, text: str) -> None:
        """Print ``text`` on stderr; silent with ``--json``."""
        if not self._as_json:
            print(text, file=sys.stderr)  # noqa: T201

    @contextmanager
    def progress(self, label: str, total: float | None) -> Iterator[Callable[..., None]]:
        """Show the progress over ``total`` steps, None if not known, on stderr; yield a function to call with a number
        of steps done, 1 by default.

        On a terminal it is a bar, elsewhere a line every :data:`LINE_SECONDS`; with ``--json`` it is silent.
        """
        if self._as_json:
            yield lambda _steps=1: None
        elif not sys.stderr.isatty():
            with _progress_lines(label, total) as advance:
                yield advance
        else:
            from rich.console import Console
            from rich.progress import Progress

            with Progress(console=Console(file=sys.stderr), transient=True) as bar:
                task = bar.add_task(label, total=total)
                yield lambda steps=1: bar.advance(task, steps)

    @contextmanager
    def fraction(self, label: str) -> Iterator[Callable[[float], None]]:
        """Show progress; yield a function to call periodically with the fraction completed, from 0 to 1."""
        with self.progress(label, 1.0) as advance:
            shown = 0.0

            def show(completed: float) -> None:
                nonlocal shown
                advance(completed - shown)
                shown = completed

            yield show


@contextmanager
def _progress_lines(label: str, total: float | None) -> Iterator[Callable[..., None]]:
    """Print a line every :data:`LINE_SECONDS`, also while a step takes longer; yield a function as
    :meth:`Output.progress` does.
    """
    stream, start, ended = sys.stderr, time.monotonic(), Event()
    done = 0.0

    def advance(steps: float = 1) -> None:
        nonlocal done
        done += steps

    def tell() -> None:
        while not ended.wait(LINE_SECONDS):
            over = f"{done:.0%}" if total == 1.0 else f"{done:.0f}" + (f" of {total:.0f}" if total else "")
            print(f"{label}: {over} after {time.monotonic() - start:.0f} s", file=stream, flush=True)

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield advance
    finally:
        ended.set()
        teller.join()


def as_text(view: RenderableType) -> str:
    """Return ``view`` for a file or a pipe, as wide as needed; rich would cut it to 80 columns."""
    from rich.console import Console

    from hecaton.terminal.tables import print_whole

    text = io.StringIO()
    print_whole(Console(file=text, highlight=False, width=240, force_terminal=False, color_system=None), view)
    return text.getvalue()


def to_json(data: Mapping[str, Any]) -> str:
    """Return ``data`` as one JSON object on one line; a number that is not finite becomes null."""
    return json.dumps(_plain(data), allow_nan=False, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if hasattr(value, "model_dump"):  # a pydantic model
        return _plain(value.model_dump())
    if hasattr(value, "tolist"):  # a numpy scalar or array
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Send stdout to stderr: prints of this process, and the file descriptor that child processes inherit."""
    with ExitStack() as stack:
        with suppress(OSError, ValueError):  # without a real stdout, children have none either
            sys.stdout.flush()
            saved = os.dup(1)
            stack.callback(os.close, saved)
            stack.callback(os.dup2, saved, 1)
            os.dup2(2, 1)
        stack.enter_context(redirect_stdout(sys.stderr))
        yield
