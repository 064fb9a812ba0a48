"""A memory or buffer of the functional model, which knows what was written: reading anything else is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["WrittenStore"]


class WrittenStore:
    """An array of elements that are undefined until they are written.

    Parameters
    ----------
    name : str
        Its name in errors.
    shape, dtype
        Of the array.

    Attributes
    ----------
    values, written
        Its elements, 0 where undefined, and which of them are defined.
    """

    def __init__(self, name: str, shape: tuple[int, int], dtype: Any) -> None:
        self.name = name
        self.values: NDArray[Any] = np.zeros(shape, dtype)
        self.written = np.zeros(shape, np.bool_)

    def __len__(self) -> int:
        return len(self.values)

    def range(self, first: int, count: int) -> slice:
        """``count`` addresses from ``first`` on. Raises ValueError beyond the array."""
        check_range(self.name, first, first + count - 1, len(self))
        return slice(first, first + count)

    def read(self, place: Any) -> NDArray[Any]:
        """Elements at ``place``, a copy. Raises ValueError if one of them was never written."""
        if not self.written[place].all():
            raise ValueError(f"reads a part of the {self.name} that was never written")
        return np.array(self.values[place])

    def write(self, place: Any, values: Any) -> None:
        """Define the elements at ``place``."""
        self.values[place] = values
        self.written[place] = True

    def forget(self, place: Any) -> None:
        """Undefine the elements at ``place``."""
        self.values[place] = 0
        self.written[place] = False

    def copy(self, place: Any, source: WrittenStore, there: Any) -> None:
        """Take what ``source`` has, defined or not."""
        self.values[place] = source.values[there]
        self.written[place] = source.written[there]


def check_range(what: str, first: int, last: int, size: int) -> None:
    """Raise ValueError if addresses ``first`` to ``last`` of ``what`` are not all from 0 to before ``size``."""
    if first < 0 or last >= size:
        has = f"0 to {size - 1}" if size else "none"
        raise ValueError(f"{what} has no address {last if last >= size else first}: has {has}")
