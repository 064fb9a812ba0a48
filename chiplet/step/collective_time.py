"""Time of a collective on the links and dies that carry it: the one home of its closed form, docs/method.md.

Dies pass flits on before a chunk is complete. So only one of the two adds up over the steps, the data of a chunk on its
link or the latency of its way, whichever is longer. With n - 1 steps, T the time of a chunk on the busiest link, H that
of a hop, D that of a die between two steps, and w(k) the hops of the k longest consecutive steps, the chunk that starts
k steps away and those behind it have come after w(k) H + (k - 1) D + (n - k) T, see :mod:`nop.lower_bound`. The first
and the last of these terms are the bounds by bandwidth and by latency, and the larger one is the time:

    T + w(1) H + max((n - 2) T, (w(n - 1) - w(1)) H + (n - 2) D)

For steps of one latency L, and without D, that is (n - 1) max(T, L) + min(T, L). Broadcasts one after the other pay
data and latency in every step. All of it holds for one machine, or for arrays of machines.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from chiplet.machine.link_rate import LinkRate
from chiplet.vectorized.elementwise import Number, anywhere, choose, larger, rounded_down, rounded_up, smaller
from chiplet.workload.operations import CommStep
from nop.collective_cost import ClosedForm

__all__ = ["CollectiveTime", "collective_time", "comm_seconds", "data_seconds", "whole_chunks_seconds"]


_LONG_FRAMES = 32
"""Frames beyond which what the last one lacks, less than one frame, is not counted."""

_FRACTION = 0.05
"""Of a frame, or of a cycle: what calibrated terms may lie above a whole number of them."""


class CollectiveTime(NamedTuple):
    """Seconds of a collective: ``data`` of one step on its link, ``latency`` of the longest step, and ``further``, what
    the other steps add, the larger of their data and their latency.
    """

    data: Number
    latency: Number
    further: Number


def comm_seconds(step: CommStep, link: LinkRate, repeats: Number = 1) -> Number:
    """Time of one collective sent in ``repeats`` equal parts, one after the other, s."""
    data, latency, further = collective_time(step, link, repeats)
    return repeats * (data + latency + further)


def data_seconds(step: CommStep, link: LinkRate) -> Number:
    """Time of all data on the busiest link, s."""
    return step.serial_elements * step.element_bytes / link.bytes_per_second


def whole_chunks_seconds(step: CommStep, link: LinkRate) -> Number:
    """Time of the collective if dies sent on whole chunks only, so that each step paid its latency, s."""
    hops = 0 if step.cost is None else step.cost.steps * step.cost.hops
    return data_seconds(step, link) + hops * link.hop_seconds


def collective_time(step: CommStep, link: LinkRate, repeats: Number = 1) -> CollectiveTime:
    """Time of one of ``repeats`` equal parts of a collective."""
    cost, size = step.cost, step.serial_elements * step.element_bytes / repeats
    if cost is None:
        return CollectiveTime(size / link.bytes_per_second, 0.0, 0.0)
    steps, hops = cost.steps, cost.hops
    if cost.form == "broadcasts":
        one = size / larger(1, steps) / link.bytes_per_second
        latency = hops * link.hop_seconds
        return CollectiveTime(one, latency, larger(0, steps - 1) * (one + latency))
    sums = step.op == "reduce-scatter"
    phases = cost.first_steps
    if not anywhere(phases > 0):
        return _passed_on(cost.form, steps, hops, cost.way, size, link, sums=sums)
    first_way, share = cost.first_way, cost.first_share
    first = _passed_on(cost.form, phases, smaller(hops, first_way), first_way, size * share, link, sums=sums)
    way = cost.way - first_way
    second = _passed_on(
        cost.form, steps - phases, smaller(hops, way), way, size * (1 - share), link, sums=sums
    )
    return CollectiveTime(
        first.data + second.data, first.latency + second.latency, first.further + second.further
    )


def _passed_on(
    form: ClosedForm, steps: Number, hops: Number, way: Number, size: Number, link: LinkRate, *, sums: bool
) -> CollectiveTime:
    """Time of ``size`` bytes over the busiest link in ``steps`` steps of a ring or a chain, the longest of ``hops``
    hops, all of them together of ``way``.

    A flit waits at an adapter for the rest of its frame. Chunks that are longer than a frame fill frames, but for the
    last one; the frames of shorter ones are as short as they are. Only the sums of a chain follow each other so closely
    that they share frames: a die sends k chunks in a row towards an end that is k dies away. A ring stores chunks that
    are longer than the queues of its dies, and so does a die of a chain where sums from its two sides meet, but for the
    die in the middle. It adds them one after the other: what starts n - 2 steps away is added to the die's own part as
    often as what starts n - 1 steps away. The steps of a folded ring are the longest ones up to half of the line, from
    which on the way has a hop less: so half of the steps are a third bound.
    """
    further = larger(0, steps - 1)
    chunk = size / larger(1, steps)
    data = chunk / link.bytes_per_second
    hop, die = link.hop_seconds, 0.0
    short = chunk <= link.queue_bytes
    store = choose(short, 0.0, link.store_seconds) if anywhere(short) else link.store_seconds
    if form == "ring":
        die = store
    if sums:
        die = die + link.add_seconds
    in_row = sums and form == "chain"
    first = last = through = hop
    step, missing = hop + die, 0.0
    if anywhere(short):
        whole = link.frame_seconds[-1]
        last = hop - whole + _frame_seconds(chunk, link)
        first = hop - whole + _frame_seconds(steps * chunk, link) if in_row else last
        step, through = _aligned(chunk, last, die, link)
        if in_row:
            # Of the further steps, with 1, 2, ... chunks in a row, those that do not fill a frame.
            flits = larger(chunk, link.flit_bytes)
            several = larger(link.flit_bytes, link.frame_bytes - link.flit_bytes)
            part = smaller(further, rounded_down(link.frame_bytes / flits))
            rest = part * (link.frame_bytes - flits * (part + 1) / 2)
            missing = rest / several * (whole - link.frame_seconds[1])
    sooner = _sooner(chunk, link)
    if in_row:
        others = further * (hop + die) - missing
    else:
        # Hops through a die and hops of further steps; those of the first step, and the last one, wait for no frame.
        passing = way - further - smaller(1, way)
        others = further * step + passing * through - larger(0, hops - 1) * last
    of_all = sooner - _sooner(size, link)
    bounds = [further * data + of_all, others]
    two_hops = step + (hops - 1) * through
    if form == "ring" and anywhere(data < two_hops):
        half = larger(1, rounded_down(steps / 2))
        bounds.append((half - 1) * two_hops + (steps - half) * data + of_all)
    if in_row:
        meets = choose(steps > 2, link.add_seconds + store, link.add_seconds)
        for away in (smaller(rounded_down(steps / 2), further - 1), further - 1):
            later = away * (hop + die) - missing + (further - away) * data + meets
            bounds.append(smaller(1, further) * later)
    return CollectiveTime(data, hops * first - sooner, larger(*bounds))


def _frame_seconds(size: Number, link: LinkRate) -> Number:
    """Time of the first frame of ``size`` bytes in a row."""
    flits, frames = size / link.flit_bytes, link.frame_seconds
    seconds = frames[1]
    for number, (shorter, longer) in enumerate(pairwise(frames[1:]), start=1):
        seconds = seconds + larger(0, smaller(1, flits - number)) * (longer - shorter)
    return seconds


def _aligned(chunk: Number, hop: Number, die: Number, link: LinkRate) -> tuple[Number, Number]:
    """From departure to departure of a chunk that is one frame, in seconds: over a hop at whose end a die takes
    ``die`` to send it on, and over one at whose end it passes. On narrow links a frame without flits takes several
    cycles, and the chunk waits for its end: so the links that chunks enter have such frames only since the chunk before
    them, and those that they pass since the collective began.
    """
    idle = link.frame_seconds[0]
    waits = (chunk <= link.frame_bytes) & (idle > (1 + _FRACTION) * link.cycle_seconds)
    if not anywhere(waits):
        return hop + die, hop
    frame = _frame_seconds(chunk, link)

    def frames(seconds: Number) -> Number:
        return rounded_up((seconds - link.slot_seconds) / idle - _FRACTION) * idle

    return choose(waits, frame + frames(hop + die - frame), hop + die), choose(waits, frames(hop), hop)


def _sooner(size: Number, link: LinkRate) -> Number:
    """By how much the last of ``size`` bytes in a row comes sooner than at the rate of the link after the first frame:
    flits of a complete frame come one a cycle, and the last frame has those that are left.
    """
    drain, frame = link.drain_seconds, link.frame_bytes
    if not anywhere(drain > 0):
        return 0.0
    short = size <= _LONG_FRAMES * frame
    if not anywhere(short):
        return drain
    flits, of_flit = frame / link.flit_bytes, drain * link.flit_bytes / frame
    slot = (link.frame_seconds[-1] - link.frame_seconds[1]) / larger(1, flits - 1)
    left = size % frame / link.flit_bytes
    partial = smaller(left * of_flit, larger(0, (flits - left) * (slot - of_flit)))
    several = drain + choose(short, partial, 0.0)
    return choose(size <= frame, size / link.flit_bytes * of_flit, several)
