"""Operations for formulas that hold for one machine or many: on numbers, or on arrays with one element for each
machine.

Arithmetic works on both as it is; these are the operations that do not. Arrays hold floats, which represent integers
below 2 ** 53 exactly. They need numpy, which a single projection does not load.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Number: TypeAlias = Any
"""A number, or a numpy array: the same quantity of several machines. To the type checker it is Any, as callers with one
machine rely on floats."""


_FEW = 64
"""Elements up to which combinations are told apart one by one, which is quicker than by sorting."""


def is_array(value: Any) -> bool:
    """Whether ``value`` has one element for each machine."""
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


def smaller(first: Number, *others: Number) -> Number:
    """The smallest, element by element."""
    for other in others:
        if is_array(first) or is_array(other):
            import numpy as np

            first = np.minimum(first, other)
        elif other < first:
            first = other
    return first


def choose(condition: Any, first: Number, second: Number) -> Number:
    """``first`` where ``condition`` holds, ``second`` elsewhere."""
    if isinstance(condition, bool):
        return first if condition else second
    import numpy as np

    return np.where(condition, first, second)


def first_largest(values: Sequence[Number]) -> Number:
    """The place of the largest of ``values``, the first if several are equal."""
    place, most = 0, values[0]
    for number, value in enumerate(values[1:], start=1):
        place, most = choose(value > most, number, place), larger(most, value)
    return place


def one_of(values: Sequence[Number], place: Number) -> Number:
    """The one of ``values`` at ``place``."""
    if not is_array(place):
        return values[place]
    chosen = values[0]
    for number, value in enumerate(values[1:], start=1):
        chosen = choose(place == number, value, chosen)
    return chosen


def anywhere(condition: Any) -> bool:
    """Whether ``condition`` holds for any machine."""
    return condition if isinstance(condition, bool) else bool(condition.any())


def ceil_div(total: Number, size: Number) -> Number:
    """Number of parts of ``size`` in ``total``, the last of which may be smaller."""
    return rounded_up(total / size) if is_array(total) or is_array(size) else -(-total // size)


def rounded_up(value: Number) -> Number:
    """The smallest integer not below ``value``."""
    if is_array(value):
        import numpy as np

        return np.ceil(value)
    return math.ceil(value)


def rounded_down(value: Number) -> Number:
    """The largest integer not above ``value``."""
    if is_array(value):
        import numpy as np

        return np.floor(value)
    return math.floor(value)


def rounded(value: Number) -> Number:
    """The nearest integer, of two the even one."""
    if is_array(value):
        import numpy as np

        return np.rint(value)
    return round(value)


def combinations(arrays: Sequence[NDArray[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Combinations of elements that occur in ``arrays`` of one shape.

    Returns where each first occurs, and the number of the one of each element; both count in flat order.
    """
    import numpy as np

    size = arrays[0].size if arrays else 0
    if size <= _FEW:
        rows = list(zip(*(array.ravel().tolist() for array in arrays), strict=True))
        places: dict[tuple[Any, ...], int] = {}
        for first_place, row in enumerate(rows):
            places.setdefault(row, first_place)
        numbers = {row: number for number, row in enumerate(sorted(places))}
        return np.array([places[row] for row in numbers], dtype=np.intp), np.array(
            [numbers[row] for row in rows], dtype=np.intp
        )
    number = np.zeros(size, dtype=np.intp)
    for array in arrays:
        distinct, place = np.unique(array, return_inverse=True)
        _, number = np.unique(number * len(distinct) + place.ravel(), return_inverse=True)
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    return first, number


def tabulated(function: Callable[..., Any], *values: Number | Hashable) -> Any:
    """``function(*values)``, called once for every combination of elements that occurs.

    Array elements must be integers. If the results are dataclasses, the fields of the returned one are arrays, but for
    words, which must be alike; a field that is a tuple is one of arrays.
    """
    places = [place for place, value in enumerate(values) if not isinstance(value, Hashable)]
    if not places:
        return function(*values)
    import numpy as np

    varying: list[Any] = [values[place] for place in places]
    arrays = np.broadcast_arrays(*varying)
    first, index = combinations(arrays)
    results = []
    for chosen in first.tolist():
        one = list(values)
        for place, array in zip(places, arrays, strict=True):
            one[place] = int(array.flat[chosen])
        results.append(function(*one))

    def gathered(column: list[Any]) -> Any:
        if isinstance(column[0], str):
            (word,) = set(column)
            return word
        if isinstance(column[0], tuple):
            return tuple(gathered(list(values)) for values in zip(*column, strict=True))
        return np.array(column, dtype=np.float64)[index].reshape(arrays[0].shape)

    if not is_dataclass(results[0]):
        return gathered(results)
    result_type: Any = type(results[0])
    names = [field.name for field in fields(result_type)]
    return result_type(**{name: gathered([getattr(result, name) for result in results]) for name in names})
