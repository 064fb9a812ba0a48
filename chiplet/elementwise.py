"""Formulas that hold for one machine and for many at once: numbers, or arrays with one element a machine.

Arithmetic works on both by itself; these are the operations that do not. Arrays need numpy, which a single
projection does not load.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

Number: TypeAlias = Any
"""A number, or a numpy array of them: the same quantity of several machines. To the type checker it is Any, as
callers with one machine count on floats."""


def is_array(value: Any) -> bool:
    """Whether ``value`` has one element a machine."""
    return not isinstance(value, (float, int))


def larger(first: Number, *others: Number) -> Number:
    """The largest, element by element."""
    for other in others:
        if is_array(first) or is_array(other):
            import numpy as np

            first = np.maximum(first, other)
        elif other > first:
            first = other
    return first


def smaller(first: Number, second: Number) -> Number:
    """The smaller of two, element by element."""
    if is_array(first) or is_array(second):
        import numpy as np

        return np.minimum(first, second)
    return min(first, second)


def choose(condition: Any, first: Number, second: Number) -> Number:
    """``first`` where ``condition`` holds, ``second`` elsewhere."""
    if isinstance(condition, bool):
        return first if condition else second
    import numpy as np

    return np.where(condition, first, second)


def pick(values: Sequence[float], index: Number) -> Number:
    """The element of ``values`` at ``index``."""
    if not is_array(index):
        return values[int(index)]
    import numpy as np

    return np.asarray(values, dtype=np.float64)[np.asarray(index, dtype=np.intp)]
