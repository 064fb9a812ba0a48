"""The distribution methods by name, and their switches from names and values as users write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from chiplet.machine.base import nearest, refusal
from chiplet.methods.base import Method, Switches
from chiplet.methods.flat_ring import FlatRing
from chiplet.methods.hecaton import Hecaton
from chiplet.methods.optimus import Optimus
from chiplet.methods.torus_ring import TorusRing

METHODS: dict[str, type[Method]] = {method.name: method for method in (Hecaton, FlatRing, TorusRing, Optimus)}


def method_type(name: str) -> type[Method]:
    """The method called ``name``. Raises ``ValueError``, with all names, for an unknown one."""
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}: must be one of {', '.join(METHODS)}")
    return METHODS[name]


def make_switches(method: str, values: Mapping[str, Any] | Switches | None = None) -> Switches:
    """The switches of ``method``, with ``values`` in place of defaults.

    Raises ``ValueError``, in one line, for an unknown switch (with the nearest known one) or a value that is not
    allowed.
    """
    switches = method_type(method).switches_type
    if isinstance(values, Switches):
        if type(values) is not switches:
            raise ValueError(
                f"{type(values).__name__} are not the switches of {method}: must be {switches.__name__}"
            )
        return values
    given = dict(values or {})
    for name in given:
        if name not in switches.model_fields:
            best = nearest(name, switches.model_fields)
            raise ValueError(f"unknown switch {name!r} of {method}: the nearest known one is {best}")
    try:
        return switches.model_validate(given)
    except ValidationError as error:
        raise ValueError(f"switch of {method}: {refusal(error, switches)}") from None
