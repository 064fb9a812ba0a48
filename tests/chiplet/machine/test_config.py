"""The configuration loader: layers, refusals and the pages that are made of the same models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.machine.base import nearest
from chiplet.machine.config import (
    ConfigError,
    dump_toml,
    load_configuration,
    load_system,
    memory_preset_names,
    preset_names,
    read_memory_preset,
    read_override,
    system_schema,
)
from chiplet.machine.configuration_keys import known_keys, section_names, to_toml_value
from chiplet.machine.cost_specs import EnergySpec
from chiplet.machine.specs import (
    DieSpec,
    LinkSpec,
    MemoryPreset,
    MemorySpec,
    PackageSpec,
    SystemSpec,
)

rates = st.floats(min_value=1e9, max_value=1e12)
systems = st.builds(
    SystemSpec,
    die=st.builds(DieSpec, rows=st.integers(1, 64), cols=st.integers(1, 64), clock_hz=st.floats(1e3, 1e9)),
    link=st.builds(LinkSpec, lane_rate=rates, latency_seconds=st.floats(0, 1e-3)),
    memory=st.builds(
        MemorySpec, kind=st.text(st.characters(exclude_categories=["Cs"])), channels=st.integers(1, 65_536)
    ),
    energy=st.builds(EnergySpec, mac_pj=st.floats(0, 1e6)),
    package=st.builds(PackageSpec, rows=st.integers(1, 10**6)),
)


def write(folder: Path, text: str) -> Path:
    path = folder / "machine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(config: Path | None, *overrides: str, preset: str = "bench") -> str:
    with pytest.raises(ConfigError) as caught:
        load_system(config, overrides, preset=preset)
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    return message


def test_every_preset_loads() -> None:
    assert "bench" in preset_names()
    for name in preset_names():
        load_system(None, [], preset=name)


def test_bench_preset_is_the_defaults_of_the_models() -> None:
    assert load_system(None, [], preset="bench") == SystemSpec()


def test_later_layers_win_key_by_key(tmp_path: Path) -> None:
    path = write(tmp_path, "[die]\nrows = 4\ncols = 5\n\n[package]\nrows = 2\n")
    found = load_configuration(path, ["die.cols=6", "die.cols=7", "link.lanes = 16"], preset="bench")
    assert (found.system.die.rows, found.system.die.cols, found.system.package.rows) == (4, 7, 2)
    assert found.system.link == LinkSpec(lanes=16)
    assert found.sources["die.rows"] == str(path)
    assert found.sources["die.cols"] == "-P die.cols=7"
    assert found.sources["die.dtype"] == "preset bench"
    assert found.sources.keys() == known_keys().keys()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("16", 16),
        (" 16 ", 16),
        ("1_000", 1000),
        ("0x10", 16),
        ("2.5e9", 2.5e9),
        ("true", True),
        ("int8", "int8"),
        ('"int8"', "int8"),
        ("HBM 2e", "HBM 2e"),
        ("LPDDR5-6400", "LPDDR5-6400"),
        ("a=b", "a=b"),
        ("[1, 2]", [1, 2]),
        ("3 # three", 3),
        ("[1", "[1"),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_override_values_are_toml_or_a_string(text: str, value: object) -> None:
    assert read_override(f"die.rows={text}").values == {"die": {"rows": value}}


@pytest.mark.parametrize(
    "override", ["", "die.rows", "die.rows=", "=3", ".=3", "die.=3", ".rows=3", "die..rows=3"]
)
def test_malformed_overrides(override: str) -> None:
    assert refusal(None, override) == f"-P {override}: must be KEY=VALUE, as in -P die.rows=16"


def test_a_machine_that_names_its_preset_is_the_same_from_any_other(tmp_path: Path) -> None:
    path = write(tmp_path, 'preset = "package"\n[die]\nrows = 16\n')
    machines = [load_configuration(path, ["die.cols=8"], preset=name) for name in ("bench", "package")]
    assert machines[0] == machines[1]
    assert machines[0].preset == "package"
    assert machines[0].system == load_system(None, ["die.rows=16", "die.cols=8"], preset="package")
    # Later layers win, as with any other key.
    assert load_configuration(path, ["preset=bench"], preset="package").preset == "bench"
    assert load_configuration(None, [], preset="package").preset == "package"


def test_an_unknown_preset_is_refused_where_it_stands(tmp_path: Path) -> None:
    for value in ("'packages'", "3", "[]", "{a = 1}", "''"):
        path = write(tmp_path, f"# a machine\npreset = {value}\n")
        assert refusal(path).startswith(f'{path}:2: preset must be one of "bench", "package", "small", not ')
        assert refusal(None, f"preset={value}").startswith(f"-P preset={value}: preset must be one of ")


@pytest.mark.parametrize(
    ("key", "values", "allowed"),
    [
        (
            "die.rows",
            ["0", "-3", "513", "8.0", "true", "'8'", "nan", "[8]", "{a = 8}"],
            "an integer from 1 to 512",
        ),
        ("die.dtype", ["fp32", "8", "true", "''"], 'one of "bf16", "int8"'),
        (
            "die.clock_hz",
            ["0", "-1.0", "nan", "inf", "-inf", "1e400", "1e16", "fast", "true"],
            "a finite number from 1000.0 to 1000000000000000.0",
        ),
        ("link.lanes", ["0", "1.5", "65537", "1" + "0" * 40], "an integer from 1 to 65536"),
        ("energy.mac_pj", ["-0.1", "nan"], "a finite number from 0 to 1000000.0"),
        ("memory.kind", ["2020-01-01", "12:30:00", "3"], "a string"),
    ],
)
def test_refused_values_say_what_is_allowed(
    tmp_path: Path, key: str, values: list[str], allowed: str
) -> None:
    for value in values:
        message = refusal(None, f"{key}={value}")
        assert message.startswith(f"-P {key}={value}: {key} must be {allowed}, not "), message
    for value in set(values) - {"fp32", "fast"}:
        path = write(tmp_path, f"\n{key} = {value}\n")
        assert refusal(path).startswith(f"{path}:2: {key} must be {allowed}, not ")


@pytest.mark.parametrize("digits", [30, 400, 5000])
def test_enormous_integers(tmp_path: Path, digits: int) -> None:
    for key in ("die.rows", "die.clock_hz"):
        if (key, digits) != ("die.clock_hz", 30):
            assert len(refusal(None, f"{key}={'9' * digits}")) < 300
            refusal(write(tmp_path, f"{key} = {'9' * digits}"))


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("die.rowz", "die.rows"),
        ("dye.rows", "die.rows"),
        ("rows", "die.rows"),
        ("lanes", "link.lanes"),
        ("Die.Dtype", "die.dtype"),
        ("memory.chanels", "memory.channels"),
        ('"die.rows"', "die.rows"),
    ],
)
def test_unknown_keys_are_named_with_the_nearest_known_one(tmp_path: Path, key: str, near: str) -> None:
    path = write(tmp_path, f"# first line\n\n{key} = 3\n")
    assert refusal(path) == f"{path}:3: unknown key {key}: the nearest known one is {near}"
    assert refusal(None, f"{key}=3").startswith(f"-P {key}=3: unknown key ")


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("[die]\nrows = \n", ":2:8: not valid TOML: Invalid value"),
        ("[die\nrows = 1", ":1:5: not valid TOML: Expected ']' at the end of a table declaration"),
        ("a = 1 2\n", ":1:7: not valid TOML: Expected newline or end of document after a statement"),
        ("a = 1\na = 2\n", ":2:6: not valid TOML: Cannot overwrite a value"),
        ("a = '''b\nc", ":2:2: not valid TOML: Expected \"'''\""),
        (
            "[die]\nrows = 8\n\n[link]\nlanez = 3\n",
            ":5: unknown key link.lanez: the nearest known one is link.lanes",
        ),
        ("[dye]\n", ":1: unknown key dye: the nearest known one is die"),
        ("die = 3\n", ":1: die must be a section of keys such as die.rows, not 3"),
        ("[[die]]\nrows = 3\n", ":1: die must be a section of keys such as die.rows, not [{rows = 3}]"),
        ("[die.rows]\nx = 1\n", ":1: die.rows must be an integer from 1 to 512, not {x = 1}"),
        ("die = {\n", ":1:8: "),
        ("a = " + "[" * 5000, ": not a usable TOML document: "),
    ],
)
def test_refused_files_say_where(tmp_path: Path, text: str, rest: str) -> None:
    path = write(tmp_path, text)
    assert refusal(path).startswith(f"{path}{rest}")


def test_impossible_combinations_name_section_and_layer(tmp_path: Path) -> None:
    path = write(tmp_path, "[die]\nweight_bytes = 1000\n")
    reason = "die: weight_bytes = 1000 is smaller than one rows x cols tile: must be at least 65536"
    assert refusal(path, "die.rows=512", "die.cols=64").endswith(reason)
    assert refusal(path, "die.rows=512", "die.cols=64").startswith(
        f"{path}, -P die.rows=512, -P die.cols=64: "
    )
    assert refusal(None, "memory.word_bytes=24").startswith(
        "-P memory.word_bytes=24: memory: word_bytes = 24 "
    )


def test_unreadable_files(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert refusal(missing) == f"{missing}: no such configuration file"
    assert refusal(tmp_path) == f"{tmp_path}: cannot read the configuration file: Is a directory"
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"[die]\n\xff")
    assert refusal(binary) == f"{binary}: not a TOML file: byte 6 is not UTF-8"


def test_unknown_preset() -> None:
    assert refusal(None, preset="bunch").startswith("unknown preset 'bunch': must be one of bench")


@given(systems)
def test_dump_loads_back(tmp_path_factory: pytest.TempPathFactory, system: SystemSpec) -> None:
    path = write(tmp_path_factory.mktemp("dump"), dump_toml(system))
    assert load_system(path, [], preset="bench") == system


@given(st.text(), st.text())
def test_no_override_escapes_as_another_error(key: str, value: str) -> None:
    message = ""
    try:
        load_system(None, [f"{key}={value}"], preset="bench")
    except ConfigError as error:
        message = str(error)
    assert "\n" not in message


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"])), st.integers(), st.booleans(), st.floats(0, 1)
    )
)
def test_toml_values_read_back(value: object) -> None:
    assert read_override(f"x={to_toml_value(value)}").values == {"x": value}


def test_schema_describes_every_key_and_allows_no_other() -> None:
    schema = json.loads(json.dumps(system_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    for section, name in (
        (name, schema["properties"][name]["$ref"].split("/")[-1]) for name in section_names()
    ):
        model = schema["$defs"][name]
        assert model["additionalProperties"] is False
        for key, entry in model["properties"].items():
            assert entry["description"] == known_keys()[f"{section}.{key}"].description


def test_every_key_is_described() -> None:
    assert [key.name for key in known_keys().values() if not key.description] == []


def test_nearest_is_always_one_of_the_candidates() -> None:
    assert nearest("", ["die.rows", "die.cols"]) == "die.rows"
    assert nearest("die.col", ["die.rows", "die.cols"]) == "die.cols"


def test_memory_presets_are_those_of_the_specification() -> None:
    assert sorted(get_args(MemoryPreset)) == ["", *memory_preset_names()]
    keys = {frozenset(read_memory_preset(name).values["memory"]) for name in memory_preset_names()}
    assert len(keys) == 1  # one preset after another leaves nothing of the first


@pytest.mark.parametrize("name", memory_preset_names())
def test_a_memory_preset_sets_the_dram(name: str) -> None:
    found = load_configuration(None, [f"memory.preset={name}"], preset="package")
    memory = found.system.memory
    for key, value in read_memory_preset(name).values["memory"].items():
        assert getattr(memory, key) == value
        assert found.sources[f"memory.{key}"] == f"memory preset {name}"
    assert memory.preset == name
    assert memory.word_bytes == 128


def test_what_a_layer_or_a_later_one_says_wins_over_its_memory_preset(tmp_path: Path) -> None:
    path = write(tmp_path, '[memory]\nchannel_bytes = 1000\npreset = "hbm3"\n')
    memory = load_system(path, ["memory.pj_per_bit=1.0"], preset="package").memory
    assert (memory.kind, memory.channel_bytes, memory.pj_per_bit) == ("HBM3", 1000, 1.0)
    memory = load_system(path, ["memory.preset=hbm2e"], preset="package").memory
    assert (memory.kind, memory.channel_bytes) == ("HBM2e", 16 * 2**30)
    # What is shown loads back to the same machine.
    system = load_system(path, [], preset="package")
    assert load_system(write(tmp_path, dump_toml(system)), [], preset="bench") == system


def test_an_unknown_memory_preset_is_refused() -> None:
    assert refusal(None, "memory.preset=hbm9") == (
        '-P memory.preset=hbm9: memory.preset must be one of "", "ddr5-6400", "lpddr5-6400", "hbm2e", "hbm3", '
        'not "hbm9"'
    )
    assert "memory.preset must be one of" in refusal(None, "memory.preset=[1]")


def test_a_renamed_key_is_refused_with_its_new_name(tmp_path: Path) -> None:
    path = write(tmp_path, "[nop]\nflit_bits = 64\nexchange_bytes = 4096\n")
    hint = "unknown key nop.exchange_bytes: it is die.scratchpad_bytes now"
    assert refusal(path) == f"{path}:3: {hint}"
    assert refusal(None, "nop.exchange_bytes=4096") == f"-P nop.exchange_bytes=4096: {hint}"


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        (
            "die.scratchpad_bytes=255",
            "die.scratchpad_bytes = 255: must be from 256 to 33554432, 1048576 times memory.word_bytes = 32",
        ),
        (
            "die.scratchpad_bytes=268435457",
            "must be an integer from 64 to 268435456, at most 1048576 times memory.word_bytes, not 268435457",
        ),
        ("vector.lanes=3", "vector: lanes = 3 is no power of two"),
        ("vector.lanes=16", "vector.lanes = 16: must be at most 8, the 32-bit values of a word of "),
        ("vector.function_lanes=16", "vector.function_lanes = 16: must be at most the 8 lanes of "),
    ],
)
def test_sections_that_do_not_agree_are_refused(override: str, reason: str) -> None:
    assert reason in refusal(None, override)
