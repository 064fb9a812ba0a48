"""The result of the claims over the space of assumptions: frozen models whose ``model_dump()`` is the JSON output."""

from __future__ import annotations

from typing import Literal

from chiplet.machine.base import StrictModel
from chiplet.studies.published import PublishedClaim

Aim = Literal["speed", "energy", "both"]
"""What of a published claim is to be reached."""


class ChoiceEntry(StrictModel):
    """A value of an assumption, with its source."""

    value: str
    source: str


class AssumptionEntry(StrictModel):
    """An assumption of the space with its values: first that of the preset package, unless it is held at another."""

    name: str
    meaning: str
    values: list[ChoiceEntry]


class PairGain(StrictModel):
    """Speed and energy of Hecaton over the flat ring for one published pair, and whether they reach what is published.

    Ratios are null, and ``reason`` says why, if a method does not fit.
    """

    model: str
    speedup: float | None
    energy_ratio: float | None
    speed_reached: bool
    energy_reached: bool
    reason: str | None = None


class ClaimRow(StrictModel):
    """One combination of the assumptions.

    Attributes
    ----------
    assumptions
        Value of each assumption by its name.
    like_for_like
        Whether both methods have the same switches where they decide alike: overlap, and inputs gathered again.
    pairs
        Both published pairs.
    reached
        Whether speed and energy of all pairs are reached.
    """

    assumptions: dict[str, str]
    like_for_like: bool
    pairs: list[PairGain]
    reached: bool


class Nearest(StrictModel):
    """A row of the space, by its number, and the assumptions in it that do not have their first value."""

    row: int
    speedup: float
    energy_ratio: float
    like_for_like: bool
    changes: dict[str, str]


class Reach(StrictModel):
    """Where one of the published numbers of a pair, or both, are reached.

    Attributes
    ----------
    aim
        What is to be reached: speed, energy, or both.
    rows, reached, share
        Rows in which both methods fit, how many of them reach it, and their share. A share of the values that are
        listed: no probability.
    like_for_like_rows, like_for_like_reached, like_for_like_share
        The same of the rows that are like for like.
    needed
        Assumptions that do not have all of their values where it is reached, with those that they have.
    like_for_like_needed
        The same of the rows that are like for like.
    nearest, like_for_like_nearest
        The row whose ratios are nearest to the published ones, by the logarithm of what they are off.
    fewest_changes, like_for_like_fewest_changes
        The row that reaches it with the fewest assumptions that do not have their first value, of these the nearest;
        null if none does.
    """

    aim: Aim
    rows: int
    reached: int
    share: float
    like_for_like_rows: int
    like_for_like_reached: int
    like_for_like_share: float
    needed: dict[str, list[str]]
    like_for_like_needed: dict[str, list[str]]
    nearest: Nearest | None
    like_for_like_nearest: Nearest | None
    fewest_changes: Nearest | None
    like_for_like_fewest_changes: Nearest | None


class Effect(StrictModel):
    """How much an assumption moves the ratios of a pair: the largest over the smallest of its values, by the geometric
    mean over the combinations of all others that fit. The value with the largest ratio is null if it moves nothing.
    """

    assumption: str
    speed_factor: float
    energy_factor: float
    speed_largest: str | None
    energy_largest: str | None


class ClaimVerdict(StrictModel):
    """One published pair over the whole space.

    Attributes
    ----------
    claim
        What is published.
    sequence_length
        Tokens of a sequence.
    first
        The first row, with the first value of every assumption: that of the preset package, unless it is held.
    reach
        Where speed, energy and both are reached.
    effects
        What moves the ratios, most of all the speed first.
    text
        All of this as a paragraph.
    """

    claim: PublishedClaim
    sequence_length: int
    first: PairGain
    reach: list[Reach]
    effects: list[Effect]
    text: str


class ClaimStudy(StrictModel):
    """The published claims over the space of assumptions.

    Attributes
    ----------
    global_batch
        Sequences of a step.
    assumptions
        The space.
    summary
        A verdict for each published pair.
    reached
        Number of rows that reach speed and energy of all pairs.
    rows
        Every combination of the assumptions.
    """

    global_batch: int
    assumptions: list[AssumptionEntry]
    summary: list[ClaimVerdict]
    reached: int
    rows: list[ClaimRow]
