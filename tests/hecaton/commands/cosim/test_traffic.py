"""``hecaton cosim traffic``: its JSON, its plot, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hecaton.command import called, documented_keys, refused


def test_one_load_as_json() -> None:
    done = called(
        *("cosim", "traffic", "--mesh", "1x2", "--rate", "0.3", "--cycles", "200", "--warmup", "20"),
        *("--seed", "3", "--json"),
    )
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim traffic", "--rate or --sweep", "--rate")
    shares = [source["throughput"] for source in data["per_source"]]
    assert sum(shares) / 2 == pytest.approx(data["throughput"])
    assert data["lost"] == data["misrouted"] == 0
    assert abs(data["offered"] - 0.3) < 0.06
    assert abs(data["throughput"] - data["offered"]) < 0.02
    assert data["latency_mean"] >= data["network_latency_mean"] >= 1
    assert data["zero_load_latency"] == 1.5


def test_a_sweep_has_points_and_a_plot(tmp_path: Path) -> None:
    plot = tmp_path / "latency.svg"
    done = called(
        *("cosim", "traffic", "--mesh", "1x1", "--sweep", "--step", "0.4", "--cycles", "50", "--warmup", "0"),
        *("--json", "-P", "nop.coordinate_bits=1", "-o", str(plot)),
    )
    assert done.returncode == 0, done.stderr
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim traffic", "--rate or --sweep", "--sweep")
    assert [point["rate"] for point in data["points"]] == [0.4, 0.8, 1.0]
    assert data["saturation_throughput"] > 0.95
    assert data["saturation_rate"] == 1.0
    assert plot.read_text(encoding="utf-8").startswith("<?xml")


def test_packets_of_a_file_as_json(tmp_path: Path) -> None:
    trace = tmp_path / "packets.csv"
    trace.write_text("source,target,cycle,flits\n0,1,7,3\n0,0,0,1\n")
    done = called("cosim", "traffic", "--mesh", "1x2", "--packets", str(trace), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys("cosim traffic", "--packets")
    assert data["generated"] == data["received"] == 4
    assert data["latency_mean"] == data["network_latency_mean"] == data["zero_load_latency"] == (1 + 4) / 2
    assert data["finished"] == 7 + 1 + 4
    assert [source["latency_mean"] for source in data["per_source"]] == [2.5, None]


def test_flips_cost_cycles_and_no_flit() -> None:
    done = called(
        *("cosim", "traffic", "--mesh", "1x2", "--rate", "1", "--cycles", "300", "--warmup", "20", "--json"),
        *(
            "--links",
            "--flips",
            "0.1",
            "--burst",
            "3",
            "--stalls",
            "0.001",
            "-P",
            "link.latency_seconds=5e-9",
        ),
    )
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert set(data) == documented_keys(
        *("cosim traffic", "--rate or --sweep", "--rate", "--links", "--links, without --sweep"),
        "--flips or --stalls, without --sweep",
    )
    assert data["lost"] == data["misrouted"] == data["wrong"] == 0
    assert data["link"]["flight_cycles"] == 3
    assert data["links"]["latency_cycles"] == 5
    assert data["links"]["replayed"] > 0 < data["links"]["flips"] <= data["links"]["crc_errors"]
    assert data["throughput"] < data["throughput_without_faults"]
    cost = 1 - data["throughput"] / data["throughput_without_faults"]
    assert data["throughput_cost"] == pytest.approx(cost, rel=1e-12)


def test_a_dead_link_is_named_and_no_hang() -> None:
    done = called(
        *("cosim", "traffic", "--mesh", "2x2", "--rate", "0.2", "--cycles", "300", "--warmup", "0", "--json"),
        *("--links", "--dead-link", "3:1@100", "-P", "link.timeout_cycles=200"),
    )
    data = json.loads(done.stdout)
    assert set(data) == documented_keys(
        "cosim traffic", "--rate or --sweep", "--rate", "--links", "--links, without --sweep"
    )
    death = data["links"]["deaths"][0]
    assert (death["source"], death["target"]) == (3, 1)
    assert death["late"] <= data["links"]["dead_cycles"] == 416
    assert done.returncode == 1
    assert done.stderr == (
        f"hecaton: error: link 3:1 is dead, found {death['late']} cycles after it died (bound 416)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "give one of --rate FLITS, --sweep and --packets FILE.csv"),
        ("--rate 0.1 --sweep", "give one of --rate FLITS, --sweep and --packets FILE.csv"),
        ("--rate 0.1 --packets a.csv", "give one of --rate FLITS, --sweep and --packets FILE.csv"),
        (
            "--packets a.csv --packet-flits 2",
            "--packet-flits 2: not with --packets, which says what is sent and when",
        ),
        # The value of a run that is not told is refused like any other.
        (
            "--packets a.csv --cycles 5000",
            "--cycles 5000: not with --packets, which says what is sent and when",
        ),
        ("--rate 0.1 --hotspot 1", "--hotspot 1: needs --pattern hotspot"),
        (
            "--rate 0.1 --mesh 1x2 --pattern hotspot --hotspot 2",
            "hotspot 2: must be a node from 0 to 1",
        ),
        (
            "--rate 0.1 --mesh 1x4 --pattern transpose",
            "pattern transpose on 1x4 routers: every node would send to itself: must be a larger mesh",
        ),
        ("--rate 0.1 -o plot.svg", "-o plot.svg: only --sweep has a plot"),
        ("--rate 2", "rate = 2.0: input should be less than or equal to 1"),
        ("--rate 0.1 --step 0.1", "--step 0.1: needs --sweep"),
        ("--rate 0.1 --links --burst 3", "--burst 3: needs --flips, which say how often"),
        ("--sweep --step 0", "step = 0.0: must be from 0.001 to 1"),
        ("--rate 0.1 --sim spice", "--sim spice is unknown: must be one of icarus, cxxrtl, verilator"),
        ("--rate 0.1 --flips 0.1", "--flips 0.1: needs --links"),
        ("--rate 0.1 --dead-link 0:1@5", "--dead-link 0:1@5: needs --links"),
        (
            "--rate 0.1 --links --dead-link 0-1",
            "--dead-link 0-1: must be FROM:TO@CYCLE, as in --dead-link 0:1@500",
        ),
        (
            "--rate 0.1 --links --mesh 2x2 --dead-link 0:3@5",
            "link 0:3 is not a link of the mesh: must join two neighbours among nodes 0 to 3, numbered row by row",
        ),
        (
            "--rate 0.1 --links --mesh 1x2 --cycles 10 --warmup 2 --dead-link 0:1@12",
            "link 0:1 cannot die in cycle 12: traffic ends before cycle 12",
        ),
        ("--rate 0.1 --links --flips 2", "--flips = 2.0: input should be less than or equal to 1"),
        (
            "--rate 0.1 --links --mesh 1x2 -P link.timeout_cycles=9",
            "link.timeout_cycles = 9: must be at least 22, what the link takes to start",
        ),
        (
            "--rate 0.1 --mesh 1x65",
            (
                "mesh: cols = 65: must be at most 64, which nop.coordinate_bits = 6 can address "
                "(nop.coordinate_bits is that of preset bench)"
            ),
        ),
        (
            "--rate 0.1 --mesh 1x1 -P nop.flit_bits=32",
            "nop.flit_bits = 32: must be at least 46 for traffic with time stamps",
        ),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(arguments: str, message: str) -> None:
    assert refused("cosim", "traffic", *arguments.split()) == message
