"""Which llama.cpp build is chosen for which processor: never AMX, never native on x86, always a rung that runs."""

from __future__ import annotations

import pytest

from deploy.processor import Build, Processor, ladder, parse_cpuinfo, portable

AVX2 = "sse4_2 avx avx2 fma f16c bmi2"
SAPPHIRE = (
    f"{AVX2} avx_vnni avx512f avx512cd avx512bw avx512dq avx512vl avx512vbmi avx512_vnni avx512_bf16 amx_tile amx_int8"
)
MACHINES = {
    "sapphire rapids": Processor("linux", "x86_64", frozenset(SAPPHIRE.split())),
    "alder lake": Processor("linux", "x86_64", frozenset(f"{AVX2} avx_vnni".split())),
    "haswell": Processor("linux", "x86_64", frozenset(AVX2.split())),
    "sandy bridge": Processor("linux", "x86_64", frozenset(["sse4_2", "avx"])),
    "knights landing": Processor("linux", "x86_64", frozenset(f"{AVX2} avx512f avx512cd avx512_vnni".split())),
    "core 2": Processor("linux", "x86_64", frozenset()),
    "graviton": Processor("linux", "aarch64", frozenset(["asimd", "sve"])),
    "apple silicon": Processor("darwin", "arm64", frozenset()),
    "intel mac": Processor("darwin", "x86_64", frozenset()),
    "something else": Processor("linux", "riscv64", frozenset()),
}
NAMES = {
    "sapphire rapids": ["AVX-512", "AVX2", "baseline x86-64"],
    "alder lake": ["AVX2", "baseline x86-64"],
    "haswell": ["AVX2", "baseline x86-64"],
    "sandy bridge": ["AVX", "baseline x86-64"],
    "knights landing": ["AVX2", "baseline x86-64"],
    "core 2": ["baseline x86-64"],
    "graviton": ["this arm64 processor", "baseline arm64"],
    "apple silicon": ["Metal", "baseline arm64"],
    "intel mac": ["baseline"],
    "something else": ["baseline"],
}


def on(build: Build) -> set[str]:
    return {option[2:-3] for option in build.cmake if option.endswith("=ON")}


@pytest.mark.parametrize("name", MACHINES)
def test_each_processor_gets_its_builds_from_fastest_to_plainest(name: str) -> None:
    assert [build.name for build in ladder(MACHINES[name])] == NAMES[name]


@pytest.mark.parametrize("name", MACHINES)
def test_no_build_ever_turns_amx_on(name: str) -> None:
    for build in (*ladder(MACHINES[name]), portable(MACHINES[name])):
        assert not {option for option in on(build) if "AMX" in option}


@pytest.mark.parametrize("name", [name for name, machine in MACHINES.items() if machine.is_x86])
def test_no_x86_build_leaves_the_choice_to_the_compiler(name: str) -> None:
    for build in (*ladder(MACHINES[name]), portable(MACHINES[name])):
        assert "-DGGML_NATIVE=OFF" in build.cmake


def test_avx512_is_taken_with_all_its_parts_and_without_the_narrow_twin() -> None:
    first = on(ladder(MACHINES["sapphire rapids"])[0])
    assert {"GGML_AVX512", "GGML_AVX512_VBMI", "GGML_AVX512_VNNI", "GGML_AVX512_BF16", "GGML_AVX2"} <= first
    assert "GGML_AVX_VNNI" not in first
    assert "GGML_AVX_VNNI" in on(ladder(MACHINES["alder lake"])[0])


def test_a_processor_with_only_some_avx512_parts_gets_none_of_them() -> None:
    assert not {option for option in on(ladder(MACHINES["knights landing"])[0]) if "512" in option}


def test_an_instruction_set_that_the_compiler_does_not_know_is_left_out() -> None:
    builds = ladder(MACHINES["sapphire rapids"], lambda flags: "-mavx512bf16" not in flags)
    assert "GGML_AVX512_BF16" not in on(builds[0])
    assert "GGML_AVX512" in on(builds[0])
    old = ladder(MACHINES["sapphire rapids"], lambda flags: not any("512" in flag for flag in flags))
    assert old[0].name == "AVX2"


def test_the_plainest_x86_build_names_every_option_so_that_no_default_turns_one_on() -> None:
    assert on(ladder(MACHINES["sapphire rapids"])[-1]) == set()
    assert "-DGGML_AVX=OFF" in ladder(MACHINES["sapphire rapids"])[-1].cmake


def test_the_build_for_images_does_not_depend_on_the_machine_that_builds() -> None:
    assert portable(MACHINES["sapphire rapids"]) == portable(MACHINES["core 2"])
    assert "GGML_AVX2" in on(portable(MACHINES["core 2"]))
    assert portable(MACHINES["graviton"]).cmake[0] == "-DGGML_NATIVE=OFF"


def test_only_flags_that_every_core_has_count() -> None:
    text = "processor: 0\nflags\t\t: avx avx2 fma\n\nprocessor: 1\nflags\t\t: avx fma\n"
    assert parse_cpuinfo(text) == {"avx", "fma"}
    assert parse_cpuinfo("nothing of the kind") == frozenset()
