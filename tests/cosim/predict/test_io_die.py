"""The link and the memory of an IO die: what dies wait for each other."""

from __future__ import annotations

from cosim.predict.clock import Clock
from cosim.predict.io_die import IoDieTimes

LATENCY = 30


def io_die(clock: Clock, *, interval: int = 1) -> IoDieTimes:
    return IoDieTimes(clock, read_cycles=1, write_cycles=5, word_cycles=4, interval=interval)


def words(reads: list[tuple[int, int]], *, interval: int = 1) -> list[float]:
    """Times of the words of reads, each the cycle in which it is sent and the way to the IO die."""
    clock = Clock()
    shared = io_die(clock, interval=interval)
    times: list[float] = []
    for cycle, way in reads:
        clock.at(cycle, lambda way=way: shared.read(way, LATENCY, times.append))  # type: ignore[misc]
    clock.run()
    return times


def test_a_lone_read_takes_its_latency_whatever_its_way() -> None:
    assert words([(0, 3)]) == words([(0, 9)]) == [LATENCY]


def test_words_of_all_dies_follow_each_other_on_the_link() -> None:
    assert words([(0, 3), (0, 3), (2, 3)]) == [LATENCY, LATENCY + 4, LATENCY + 8]


def test_words_leave_in_the_order_in_which_the_reads_arrive() -> None:
    # The first read has the longer way. Its word would leave in cycle 21, that of the second one leaves from 28 to 32.
    assert words([(0, 9), (1, 3)]) == [1 + LATENCY, 32 + 9]


def test_memory_takes_a_request_each_interval() -> None:
    assert words([(0, 3), (0, 3)], interval=7) == [LATENCY, LATENCY + 7]


def test_a_write_holds_up_what_comes_behind_it() -> None:
    clock = Clock()
    shared = io_die(clock)
    taken: list[float] = []
    times: list[float] = []
    for _ in range(2):
        shared.write(3, taken.append)
    shared.read(3, LATENCY, times.append)
    clock.run()
    assert taken == [0, 5]
    assert times == [LATENCY + 10]
