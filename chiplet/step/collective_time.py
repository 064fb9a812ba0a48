"""Time of a collective on the links and dies that carry it: the one home of its closed form, docs/method.md.

Dies pass flits on before a chunk is complete. So only one of the two adds up over the steps, the data of a chunk on its
link or the latency of its way, whichever is longer. With n - 1 steps, T the time of a chunk on the busiest link, H that
of a hop, D that of a die between two steps, and w(k) the hops of the k longest consecutive steps, the chunk that starts
k steps away and those behind it have come after w(k) H + (k - 1) D + (n - k) T, see :mod:`nop.lower_bound`. The first
and the last of these terms are the bounds by bandwidth and by latency, and the larger one is the time:

    T + w(1) H + max((n - 2) T, (w(n - 1) - w(1)) H + (n - 2) D)

For steps of one latency L, and without D, that is (n - 1) max(T, L) + min(T, L). Broadcasts one after the other pay data
and latency in every step. All of it holds for one machine, or for arrays of machines.
"""

from __future__ import annotations

from typing import NamedTuple

from chiplet.machine.link_rate import LinkRate
from chiplet.vectorized.elementwise import Number, anywhere, choose, larger, smaller
from chiplet.workload.operations import CommStep
from nop.collective_cost import Form

__all__ = ["CollectiveTime", "collective_time", "comm_seconds", "data_seconds", "whole_chunks_seconds"]


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
    form: Form, steps: Number, hops: Number, way: Number, size: Number, link: LinkRate, *, sums: bool
) -> CollectiveTime:
    """Time of ``size`` bytes over the busiest link in ``steps`` steps of a ring or a chain, the longest of ``hops``
    hops, all of them together of ``way``.

    A flit waits at an adapter for the rest of its frame. Chunks that are longer than a frame fill frames; the frames of
    shorter ones are as short as they are. Only the sums of a chain follow each other so closely that they share frames:
    a die sends k chunks in a row towards an end that is k dies away. A ring stores chunks that are longer than the
    queues of its dies. A die of a chain adds the sums from its two sides one after the other: what starts n - 2 steps
    away is added to the die's own part as often as what starts n - 1 steps away.
    """
    further = larger(0, steps - 1)
    chunk = size / larger(1, steps)
    data = chunk / link.bytes_per_second
    hop, die = link.hop_seconds, 0.0
    latency, others, last = hops * hop, (way - hops) * hop, hop
    drain = link.drain_seconds
    short = chunk <= link.queue_bytes
    if form == "ring":
        die = choose(short, 0.0, link.store_seconds) if anywhere(short) else link.store_seconds
    if sums:
        die = die + link.add_seconds
    if anywhere(short):
        lone = link.lone_hop_seconds
        several = larger(link.flit_bytes, link.frame_bytes - link.flit_bytes)
        in_row = sums and form == "chain"
        first = _filled(steps * chunk if in_row else chunk, several, link)
        rest = _filled(chunk, several, link)
        if in_row:
            # Of the further steps, with 1, 2, ... chunks in a row, those that do not fill a frame.
            flits = larger(chunk, link.flit_bytes)
            part = larger(0, smaller(further, link.frame_bytes / flits - 0.5))
            missing = part * (link.frame_bytes - flits * (part + 1) / 2) / several
            latency, others = hops * (lone + first * (hop - lone)), further * hop - missing * (hop - lone)
            last = lone + rest * (hop - lone)
        else:
            latency, others = (
                hops * (lone + first * (hop - lone)),
                (way - hops) * (lone + rest * (hop - lone)),
            )
        drain = rest * drain
    others = others + further * die
    bounds = [others]
    if sums and form == "chain":
        bounds.append(others - last + smaller(1, further) * data)
    return CollectiveTime(data, latency - drain, larger(further * data, *bounds))


def _filled(size: Number, several: Number, link: LinkRate) -> Number:
    """By how much ``size`` bytes fill a frame, from 0 for one flit to 1, if its other flits have ``several`` bytes."""
    return smaller(1, larger(0, (size - link.flit_bytes) / several))
