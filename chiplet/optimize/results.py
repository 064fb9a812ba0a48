"""The result of a search: frozen models whose ``model_dump()`` has the keys of the JSON output."""

from __future__ import annotations

from typing import Any, Literal, get_args

from chiplet.machine.base import StrictModel

Goal = Literal["time", "energy", "cost"]


def check_goal(name: str, goal: str) -> None:
    """Raise ``ValueError``, in one line, unless ``goal``, which is called ``name``, is one."""
    if goal not in get_args(Goal):
        raise ValueError(f"{name} {goal[:60]}: must be one of {', '.join(get_args(Goal))}")


class BestWay(StrictModel):
    """One way to run the step, on its best mesh; ``value`` is what was searched for, and ``ratio`` that over the best.

    ``decides`` is the largest part of the time, the energy or the price, and ``share`` its share. ``project`` are the
    options of ``hecaton project`` that give the same step, beside those of the machine. ``alike`` are other switches
    that take as much on this mesh, to the digits that are shown.
    """

    method: str
    switches: dict[str, Any]
    mesh: str
    dies: int
    packages: int
    data: int
    pipeline: int
    context: int
    alike: tuple[dict[str, Any], ...]
    value: float
    ratio: float
    decides: str
    share: float
    step_seconds: float
    tokens_per_second: float
    mfu: float
    energy_joules: float
    cost_dollars: float
    project: str


class Optimum(StrictModel):
    """The best ways to train ``model`` on at most ``dies`` dies in each of at most ``packages`` packages.

    Attributes
    ----------
    dies, packages
        The most there may be; a way says how many it uses.
    goal
        What is least: the ``time`` of a step in seconds, its ``energy`` in joules, or its ``cost``: the price of all
        packages times the time of a step, in dollar seconds.
    best
        At most ten ways, best first. Each has another method, other switches, or another use of the packages.
    evaluated
        Steps that were costed, with those that do not fit.
    seconds
        Wall time of the search.
    """

    model: str
    goal: Goal
    dies: int
    packages: int
    best: tuple[BestWay, ...]
    evaluated: int
    seconds: float
