"""What the machine is: die, link, memory, package, as frozen and validated models.

The hardware generator, the golden model, the programs and the projection all read this one description. A model
refuses unknown keys and impossible combinations when it is made. What follows from the fields is a property here. What
only the projection reads is in ``parallel_specs`` and ``cost_specs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel
from chiplet.machine.cost_specs import AreaSpec, CostSpec, EnergySpec, SiliconSpec
from chiplet.machine.parallel_specs import FabricSpec, ParallelSpec
from chiplet.machine.pipelining import MULTIPLIER_STAGES, SRAM_LATENCY, MultiplierStages, SramLatency
from chiplet.machine.silicon.stage_clock import FOLLOWS_STAGES, clock_of_stages
from chiplet.machine.vector_specs import VectorSpec
from chiplet.vectorized.elementwise import (
    Number,
    anywhere,
    ceil_div,
    choose,
    larger,
    rounded,
    rounded_down,
    rounded_up,
)
from nop.topology import MAX_DIES


def scratchpad_banks(memory: MemorySpec, nop: NopSpec | None = None) -> int:
    """Banks of the scratchpad: a power of two, and one at least for each word that its readers want in a cycle.

    ``nop`` is None for a die without an engine. Writers want less: four links, load, drain and vector unit.
    """
    links = 0 if nop is None else ceil_div(4 * nop.flit_bits, 8 * memory.word_bytes)
    return 1 << (SCRATCHPAD_READERS + int(links) - 1).bit_length()


def scratchpad_depth(die: DieSpec, memory: MemorySpec, nop: NopSpec | None = None) -> int:
    """Words of the scratchpad: whole memory words, as many in every bank.

    Raises ValueError if a bank has no word, or a command's address does not reach the last one.
    """
    row = scratchpad_banks(memory, nop) * memory.word_bytes
    most = MOST_WORDS * memory.word_bytes
    if not row <= die.scratchpad_bytes <= most:
        raise ValueError(
            f"die.scratchpad_bytes = {die.scratchpad_bytes}: must be from {row} to {most}, {MOST_WORDS} times "
            f"memory.word_bytes = {memory.word_bytes}"
        )
    return die.scratchpad_bytes // row * (row // memory.word_bytes)


Dtype = Literal["bf16", "int8"]

MemoryPreset = Literal["", "ddr5-6400", "lpddr5-6400", "hbm2e", "hbm3"]
"""Names of the memory presets; empty for none."""

MEMORY_ADDRESS_BITS = 32
"""Bits of the number of a memory word."""

COMMAND_BYTES = 32
"""Size of one command of a die's program, in bytes."""

COUNT_BITS = 16
"""Width of a count in a command."""

SUM_BYTES = 4
"""Bytes of a sum in the accumulator buffer: fp32 or int32."""

BUFFER_ADDRESS_BITS = 20
MOST_WORDS = 1 << BUFFER_ADDRESS_BITS
"""Width of a buffer address in a command: no bank, and no scratchpad, has more words than it reaches."""

SCRATCHPAD_READERS = 7
"""Reads of a scratchpad in a cycle, besides the links': one of each feed unit and the store unit, three of vectors."""

LINK_TOO_SLOW = "link.lanes x link.lane_rate must be at least one bit in a cycle of die.clock_hz"
"""Why there is no machine whose links carry less."""


class DieSpec(StrictModel):
    """One compute die: systolic array, buffers, queues.

    The array is weight-stationary: ``rows`` run along the summed dimension K, ``cols`` along N. Buffer sizes are
    payload bytes; a buffer whose size is no multiple of one row of banks is rounded down to it.
    """

    rows: Annotated[int, Field(ge=1, le=512, description="PE rows of the array (summed dimension K)")] = 8
    cols: Annotated[int, Field(ge=1, le=512, description="PE columns of the array (dimension N)")] = 8
    dtype: Annotated[
        Dtype, Field(description="operand type: bf16 with fp32 sums, or int8 with int32 sums")
    ] = "bf16"
    stages: Annotated[
        int, Field(ge=1, le=4, description="pipeline stages P of the adder in a PE: latency of one array row")
    ] = 1
    multiplier_stages: MultiplierStages = MULTIPLIER_STAGES
    sram_latency: SramLatency = SRAM_LATENCY
    weight_bytes: Annotated[
        int, Field(ge=1, le=2**30, description="weight buffer (stationary operand), bytes")
    ] = 262_144
    activation_bytes: Annotated[
        int, Field(ge=1, le=2**30, description="activation buffer (streamed operand), bytes")
    ] = 131_072
    accumulator_bytes: Annotated[
        int, Field(ge=1, le=2**31, description="accumulator buffer (32-bit sums), bytes")
    ] = 131_072
    scratchpad_bytes: Annotated[
        int,
        Field(
            ge=64,
            le=256 * MOST_WORDS,
            description="scratchpad: activations, sums and chunks of collectives, bytes",
            json_schema_extra={"limit": f"at most {MOST_WORDS} times memory.word_bytes"},
        ),
    ] = 65_536
    queue_depth: Annotated[int, Field(ge=2, le=64, description="commands that each queue holds")] = 4
    clock_hz: Annotated[
        float,
        Field(
            ge=1e3,
            le=1e15,
            description='clock of array, buffers and router, Hz; "stages": the one that die.stages allow',
            json_schema_extra={"anyOf": [{"type": "number"}, {"const": FOLLOWS_STAGES}]},
        ),
    ] = 1.0e9
    sram: Annotated[
        Literal["inferred", "macro"],
        Field(description="buffers as memories inferred from Verilog, or as named black-box macros"),
    ] = "inferred"

    @model_validator(mode="before")
    @classmethod
    def _clock_follows_stages(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("clock_hz") != FOLLOWS_STAGES:
            return values
        return {
            **values,
            "clock_hz": clock_of_stages(values.get("stages", cls.model_fields["stages"].default)),
        }

    @model_validator(mode="after")
    def _buffers_hold_a_tile(self) -> Self:
        element = self.element_bytes
        for name, have, need, why in (
            ("weight_bytes", self.weight_bytes, self.rows * self.cols * element, "one rows x cols tile"),
            (
                "activation_bytes",
                self.activation_bytes,
                self.rows * self.rows * element,
                "rows vectors of rows elements",
            ),
            ("accumulator_bytes", self.accumulator_bytes, 8 * self.cols, "two rows of cols 32-bit sums"),
        ):
            if have < need:
                raise ValueError(f"{name} = {have} is smaller than {why}: must be at least {need}")
        for buffer in ("weight", "activation", "accumulator"):
            size, depth = getattr(self, f"{buffer}_bytes"), getattr(self, f"{buffer}_depth")
            if depth > MOST_WORDS:
                raise ValueError(
                    f"{buffer}_bytes = {size} makes banks of {depth} words: must be at most {MOST_WORDS} words"
                )
        return self

    @property
    def element_bytes(self) -> int:
        """Bytes of one operand element."""
        return 2 if self.dtype == "bf16" else 1

    @property
    def element_bits(self) -> int:
        """Bits of one operand element."""
        return 8 * self.element_bytes

    @property
    def weight_depth(self) -> int:
        """Words of each of the ``cols`` weight banks."""
        return self.weight_bytes // (self.cols * self.element_bytes)

    @property
    def activation_depth(self) -> int:
        """Words of each of the ``rows`` activation banks."""
        return self.activation_bytes // (self.rows * self.element_bytes)

    @property
    def accumulator_depth(self) -> int:
        """Rows of ``cols`` sums in the accumulator buffer: always even, for its two bank groups."""
        return self.accumulator_bytes // (self.cols * SUM_BYTES) // 2 * 2

    @property
    def macs_per_cycle(self) -> int:
        """Multiply-adds that the whole array starts in a cycle."""
        return self.rows * self.cols


class LinkSpec(StrictModel):
    """One direction of a die-to-die link between neighbours."""

    lanes: Annotated[int, Field(ge=1, le=65_536, description="data lanes in one direction")] = 64
    lane_rate: Annotated[float, Field(ge=1e3, le=1e15, description="transfers per second of a lane, 1/s")] = (
        16.0e9
    )
    latency_seconds: Annotated[
        float, Field(ge=0, le=1e-3, description="adapter and PHY latency of one hop, s")
    ] = 2.0e-9
    router_cycles: Annotated[
        float, Field(ge=0, le=1e6, description="cycles of the router that a flit crosses at each hop")
    ] = 1.0
    goodput: Annotated[
        float,
        Field(ge=0, le=1, description="data bits delivered of those that lanes carry; 0: that of frames"),
    ] = 0.0
    timeout_cycles: Annotated[
        int, Field(ge=1, le=1 << 24, description="cycles without progress after which a link is dead")
    ] = 1000
    pj_per_bit: Annotated[float, Field(ge=0, le=1e6, description="energy of one bit over one hop, pJ")] = 0.25

    @property
    def bytes_per_second(self) -> float:
        """What the lanes of one direction could carry, bytes/s; of payload, see ``chiplet.machine.link_rate``."""
        return self.lanes * self.lane_rate / 8


class NopSpec(StrictModel):
    """Routers of the network-on-package: one a die, and a flit is what crosses a link in one of its cycles."""

    flit_bits: Annotated[int, Field(ge=16, le=4096, description="data bits of a flit")] = 64
    buffer_flits: Annotated[
        int, Field(ge=1, le=16, description="flits that each input port of a router buffers")
    ] = 14
    coordinate_bits: Annotated[
        int, Field(ge=1, le=8, description="bits of a die's row, and of its column, in a packet's head")
    ] = 6

    @property
    def longest_side(self) -> int:
        """Dies of the longest row or column that a packet's head can address."""
        return int(2**self.coordinate_bits)


class MemorySpec(StrictModel):
    """Memory behind a die's memory port, and the DRAM channels of a package behind its IO dies."""

    word_bytes: Annotated[
        int, Field(ge=4, le=256, description="width of a die's memory port, bytes (power of two)")
    ] = 32
    latency_cycles: Annotated[int, Field(ge=2, le=1024, description="read latency seen by a die, cycles")] = (
        20
    )
    outstanding: Annotated[int, Field(ge=1, le=256, description="reads that a die keeps in flight")] = 32
    bench_bytes: Annotated[
        int, Field(ge=4096, le=2**30, description="most bytes of a workload in co-simulation")
    ] = 2**26
    preset: Annotated[
        MemoryPreset,
        Field(description="DRAM whose values hold where no other key of the same layer sets them"),
    ] = ""
    kind: Annotated[str, Field(description="name of the DRAM technology")] = "HBM2e"
    channels: Annotated[int, Field(ge=1, le=65_536, description="channels (or stacks) of the package")] = 8
    channels_per_edge_die: Annotated[
        float,
        Field(
            ge=0,
            le=1024,
            description="channels for each die side on the package's edge; 0: as many as channels says",
        ),
    ] = 0.0
    channel_bytes_per_second: Annotated[
        float, Field(ge=1e3, le=1e18, description="bandwidth of one channel, bytes/s")
    ] = 460.0e9
    efficiency: Annotated[
        float, Field(ge=0.01, le=1, description="share of the channels' bandwidth that traffic reaches")
    ] = 1.0
    channel_bytes: Annotated[int, Field(ge=1, le=2**50, description="capacity of one channel, bytes")] = (
        16 * 2**30
    )
    pj_per_bit: Annotated[float, Field(ge=0, le=1e6, description="energy of one transferred bit, pJ")] = 3.9

    @model_validator(mode="after")
    def _power_of_two_word(self) -> Self:
        if self.word_bytes & (self.word_bytes - 1):
            raise ValueError(
                f"word_bytes = {self.word_bytes} is no power of two: must be one of 4, 8, 16, ... 256"
            )
        return self

    def package_bytes_per_second(self, edge_sides: Number) -> Number:
        """Bandwidth that traffic reaches on a package whose mesh has ``edge_sides`` die sides on its edge, bytes/s."""
        return self.package_channels(edge_sides) * self.channel_bytes_per_second * self.efficiency

    def package_channels(self, edge_sides: Number) -> Number:
        """Channels of a package whose mesh has ``edge_sides`` die sides on its edge: at least one."""
        by_edge = larger(1, rounded(self.channels_per_edge_die * edge_sides))
        return choose(self.channels_per_edge_die > 0, by_edge, self.channels)

    @property
    def command_words(self) -> int:
        """Memory words that one command takes."""
        return max(1, COMMAND_BYTES // self.word_bytes)


def vector_lanes(vector: VectorSpec, memory: MemorySpec) -> Number:
    """32-bit results that the vector unit writes in a cycle. Raises ValueError if a memory word does not hold these."""
    most = memory.word_bytes // SUM_BYTES
    if anywhere(vector.lanes > most):
        raise ValueError(
            f"vector.lanes = {vector.lanes}: must be at most {most}, the 32-bit values of a word of "
            f"memory.word_bytes = {memory.word_bytes}"
        )
    return choose(vector.lanes > 0, vector.lanes, most)


def function_lanes(vector: VectorSpec, memory: MemorySpec) -> int:
    """Lanes of the vector unit that evaluate functions: they divide :func:`vector_lanes`.

    Raises ValueError if they are more than the lanes, or the lanes do not fit a memory word.
    """
    lanes = vector_lanes(vector, memory)
    if vector.function_lanes > lanes:
        raise ValueError(
            f"vector.function_lanes = {vector.function_lanes}: must be at most the {lanes} lanes of the vector unit"
        )
    return vector.function_lanes or lanes


class PackageSpec(StrictModel):
    """A mesh of compute dies, with IO dies at the ends of its rows, or of its rows and columns."""

    rows: Annotated[int, Field(ge=1, le=MAX_DIES, description="die rows of the mesh")] = 4
    cols: Annotated[int, Field(ge=1, le=MAX_DIES, description="die columns of the mesh")] = 4
    io: Annotated[
        Literal["west", "east", "both", "all"],
        Field(
            description="sides with IO dies: one end of the die rows, both ends, or both ends of rows and columns; "
            "each die is served by one at an end of its row or column, so that none serves many more than others"
        ),
    ] = "both"

    @property
    def dies(self) -> int:
        """Compute dies on the package."""
        return self.rows * self.cols

    def places(self) -> list[tuple[int, int]]:
        """Row and column of each compute die, counted from 0, in the order of the dies' numbers."""
        return [(row, col) for row in range(self.rows) for col in range(self.cols)]


class SystemSpec(StrictModel):
    """The whole machine, one section a part: what a TOML configuration describes."""

    die: DieSpec = Field(default_factory=DieSpec)
    link: LinkSpec = Field(default_factory=LinkSpec)
    nop: NopSpec = Field(default_factory=NopSpec)
    memory: MemorySpec = Field(default_factory=MemorySpec)
    vector: VectorSpec = Field(default_factory=VectorSpec)
    energy: EnergySpec = Field(default_factory=EnergySpec)
    package: PackageSpec = Field(default_factory=PackageSpec)
    area: AreaSpec = Field(default_factory=AreaSpec)
    silicon: SiliconSpec = Field(default_factory=SiliconSpec)
    cost: CostSpec = Field(default_factory=CostSpec)
    fabric: FabricSpec = Field(default_factory=FabricSpec)
    parallel: ParallelSpec = Field(default_factory=ParallelSpec)

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        self.check_words()
        if self.link_too_slow:
            raise ValueError(LINK_TOO_SLOW)
        return self

    def check_words(self) -> None:
        """Raise ``ValueError`` if scratchpad or vector unit do not fit the memory word."""
        scratchpad_depth(self.die, self.memory, self.nop)
        function_lanes(self.vector, self.memory)

    @property
    def _link_bits_per_cycle(self) -> Number:
        return self.link.lanes * self.link.lane_rate / self.die.clock_hz + 1e-9

    @property
    def link_too_slow(self) -> Any:
        """Whether a link carries less than a bit in a cycle of the die: there is no adapter for that."""
        return self._link_bits_per_cycle < 1

    @property
    def link_phit_bits(self) -> int:
        """Bits that a link carries in a cycle of the die: all of its lanes together, at least 1."""
        bits: int = larger(1, rounded_down(self._link_bits_per_cycle))
        return bits

    @property
    def link_cycles(self) -> int:
        """Latency of a link in cycles of the die, rounded up."""
        cycles: int = rounded_up(self.link.latency_seconds * self.die.clock_hz - 1e-9)
        return cycles
