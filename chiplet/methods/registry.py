"""The distribution methods by name, and their switches from names and values as a user writes them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from chiplet.methods.base import Method, Switches
from chiplet.methods.flat_ring import FlatRing
from chiplet.methods.hecaton import Hecaton
from chiplet.methods.optimus import Optimus
from chiplet.methods.torus_ring import TorusRing

METHODS: dict[str, type[Method]] = {method.name: method for method in (Hecaton, FlatRing, TorusRing, Optimus)}


def method_type(name: str) -> type[Method]:
    """The method called ``name``. Raises ``ValueError`` with the names that there are."""
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}: must be one of {', '.join(METHODS)}")
    return METHODS[name]


def make_switches(method: str, values: Mapping[str, Any] | Switches | None = None) -> Switches:
    """The switches of ``method``, with ``values`` in place of defaults.

    Raises ``ValueError`` of one line for an unknown switch (with the nearest known one) or a value that is
    not allowed.
    """
    kind = method_type(method).switches_type
    if isinstance(values, Switches):
        if type(values) is not kind:
            raise ValueError(
                f"{type(values).__name__} are not the switches of {method}: must be {kind.__name__}"
            )
        return values
    given = dict(values or {})
    for name in given:
        if name not in kind.model_fields:
            best = get_close_matches(name, kind.model_fields, n=1, cutoff=0.0)[0]
            raise ValueError(f"unknown switch {name!r} of {method}: the nearest known one is {best}")
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        raise ValueError(f"switch {name} of {method}: {first['msg']}, not {given[name]!r}") from None
