"""Columns of the varied values in the file of a sweep."""

from __future__ import annotations

import numpy as np

from chiplet.sweep.axes import has_switch
from chiplet.sweep.space import Space, make_sweep
from hecaton.results.sweep_files import input_columns
from tests.chiplet.machines import PACKAGE


def test_a_switch_that_the_method_lacks_is_null() -> None:
    switches = {"hecaton.collective": ("ring", "chain"), "overlap": (True, False)}
    space = {
        "model": "tinyllama-1.1b",
        "method": ("hecaton", "flat-ring", "optimus"),
        "switches": switches,
        "vary": {"link.lanes": (16, 32)},
    }
    sweep = make_sweep(Space.model_validate(space), PACKAGE, source="space")
    columns = input_columns(sweep, np.arange(sweep.groups * sweep.group_points))
    methods = columns["method"].to_pylist()
    for switch, values in switches.items():
        name = f"switches.{switch}"
        shown = columns[name].to_pylist()
        for method in set(methods):
            of_method = {value for value, its in zip(shown, methods, strict=True) if its == method}
            assert of_method == (set(values) if has_switch(method, name) else {None})
    assert None not in columns["link.lanes"].to_pylist()
