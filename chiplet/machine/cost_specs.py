"""What area, yield and cost of dies and packages follow from: frozen and validated models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chiplet.machine.base import StrictModel
from nop.topology import MAX_DIES


class EnergySpec(StrictModel):
    """Energy of counted events of the die."""

    mac_pj: Annotated[float, Field(ge=0, le=1e6, description="one multiply-add, pJ")] = 0.59
    vector_pj: Annotated[float, Field(ge=0, le=1e6, description="one operation of a vector lane, pJ")] = 1.31
    sram_pj_per_byte: Annotated[
        float, Field(ge=0, le=1e6, description="one byte read or written in a buffer, pJ")
    ] = 1.75
    static_watts: Annotated[float, Field(ge=0, le=1e6, description="static power of one die, W")] = 0.0


class AreaSpec(StrictModel):
    """What a die's area follows from beside its size in transistors and bits."""

    transistors_per_mm2: Annotated[
        float, Field(ge=1e3, le=1e12, description="density of logic cells, 1/mm2")
    ] = 91.2e6
    utilization: Annotated[
        float, Field(ge=0.001, le=1, description="share of a placed block's area that is logic cells")
    ] = 0.7
    bitcell_um2: Annotated[float, Field(ge=1e-6, le=1e3, description="area of an SRAM bit cell, um2")] = 0.027
    sram_efficiency: Annotated[
        float, Field(ge=0.001, le=1, description="share of an SRAM's area that is bit cells")
    ] = 0.5
    vector_transistors: Annotated[
        float, Field(ge=0, le=1e12, description="transistors of one lane of the vector unit")
    ] = 1.0e5
    phy_bytes_per_second_per_mm2: Annotated[
        float,
        Field(
            ge=1e6, le=1e18, description="bandwidth of a link's PHY, both directions, bytes/s for each mm2"
        ),
    ] = 1.35e12
    overhead: Annotated[
        float, Field(ge=0, le=100, description="power, clocking and test, as a share of all other area")
    ] = 0.1


class SiliconSpec(StrictModel):
    """Area of a die's cells by synthesis, set by a silicon report; and factors from its technology to another one."""

    die_um2: Annotated[
        float,
        Field(
            ge=0,
            le=1e12,
            description="cells that a die has once, um2; this and the next three 0: transistors",
        ),
    ] = 0.0
    row_um2: Annotated[float, Field(ge=0, le=1e12, description="cells of each row of the array, um2")] = 0.0
    column_um2: Annotated[
        float, Field(ge=0, le=1e12, description="cells of each column of the array, um2")
    ] = 0.0
    pe_um2: Annotated[float, Field(ge=0, le=1e12, description="cells of each PE, um2")] = 0.0
    vector_um2: Annotated[float, Field(ge=0, le=1e12, description="cells of the vector unit, um2")] = 0.0
    area_factor: Annotated[
        float,
        Field(ge=1e-3, le=1e3, description="area of these cells over that of the report; 1: as measured"),
    ] = 1.0
    energy_factor: Annotated[
        float, Field(ge=1e-3, le=1e3, description="energies over those of the report; 1: as measured")
    ] = 1.0
    period_factor: Annotated[
        float,
        Field(
            ge=1e-3,
            le=1e3,
            description="period of the clock over that of the report, as for wires and margin; 1: as measured",
        ),
    ] = 1.0


class CostSpec(StrictModel):
    """Wafers, defects and assembly. Constants after chiplet-actuary (Feng and Ma, DAC 2022)."""

    wafer_dollars: Annotated[float, Field(ge=0.01, le=1e9, description="price of a wafer of dies")] = 9346.0
    defects_per_cm2: Annotated[
        float, Field(ge=0, le=1e3, description="defects of a wafer of dies, 1/cm2")
    ] = 0.09
    cluster: Annotated[float, Field(ge=0.01, le=1e3, description="clustering of a die's defects")] = 10.0
    wafer_mm: Annotated[float, Field(ge=1, le=1e4, description="diameter of a wafer, mm")] = 300.0
    edge_mm: Annotated[float, Field(ge=0, le=1e3, description="unused edge of a wafer, mm")] = 5.0
    scribe_mm: Annotated[float, Field(ge=0, le=100, description="scribe lane, mm")] = 0.2
    package: Annotated[
        Literal["organic", "fanout", "interposer"], Field(description="what joins the dies of a substrate")
    ] = "organic"
    dies_per_substrate: Annotated[
        int,
        Field(ge=0, le=MAX_DIES, description="compute dies that are assembled and tested together; 0: all"),
    ] = 0
    substrate_dollars_per_mm2: Annotated[
        float,
        Field(
            ge=0, le=1e6, description="organic substrate with one die; up to twice that with several, $/mm2"
        ),
    ] = 0.005
    substrate_scale: Annotated[
        float, Field(ge=0.01, le=1e3, description="area of the substrate over that of what it carries")
    ] = 4.0
    substrate_bonding_yield: Annotated[
        float, Field(ge=0.001, le=1, description="yield of bonding one part to the organic substrate")
    ] = 0.99
    bump_dollars_per_mm2: Annotated[
        float, Field(ge=0, le=1e6, description="bumps to the substrate, $/mm2")
    ] = 0.005
    microbump_dollars_per_mm2: Annotated[
        float, Field(ge=0, le=1e6, description="bumps to an interposer or fan-out, $/mm2")
    ] = 0.01
    fanout_wafer_dollars: Annotated[
        float, Field(ge=0.01, le=1e9, description="price of a wafer of fan-out layers")
    ] = 1200.0
    fanout_defects_per_cm2: Annotated[float, Field(ge=0, le=1e3, description="its defects, 1/cm2")] = 0.05
    fanout_cluster: Annotated[float, Field(ge=0.01, le=1e3, description="clustering of these")] = 3.0
    fanout_scale: Annotated[float, Field(ge=0.01, le=1e3, description="its area over that of the dies")] = 1.2
    fanout_bonding_yield: Annotated[
        float, Field(ge=0.001, le=1, description="yield of bonding one die to the fan-out")
    ] = 0.98
    interposer_wafer_dollars: Annotated[
        float, Field(ge=0.01, le=1e9, description="price of a wafer of silicon interposers")
    ] = 1937.0
    interposer_defects_per_cm2: Annotated[float, Field(ge=0, le=1e3, description="its defects, 1/cm2")] = 0.06
    interposer_cluster: Annotated[float, Field(ge=0.01, le=1e3, description="clustering of these")] = 6.0
    interposer_scale: Annotated[
        float, Field(ge=0.01, le=1e3, description="its area over that of the dies")
    ] = 1.1
    interposer_bonding_yield: Annotated[
        float, Field(ge=0.001, le=1, description="yield of bonding one die to the interposer")
    ] = 0.95
    io_die_mm2: Annotated[
        float, Field(ge=0, le=1e6, description="area of the IO die of one DRAM channel, mm2; 0: none")
    ] = 0.0
    io_wafer_dollars: Annotated[float, Field(ge=0.01, le=1e9, description="price of a wafer of IO dies")] = (
        3984.0
    )
    io_defects_per_cm2: Annotated[float, Field(ge=0, le=1e3, description="its defects, 1/cm2")] = 0.08
    dram_dollars_per_gib: Annotated[
        float, Field(ge=0, le=1e6, description="price of DRAM, $/GiB; 0: not counted")
    ] = 0.0
