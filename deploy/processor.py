"""Which llama.cpp build suits a processor: facts in, cmake options out.

On x86 it never lets the compiler choose (`-march=native` turns AMX on, and AMX builds of ggml have died with SIGSEGV in
`ggml_backend_amx_mul_mat` on the first prompt longer than one token); it names AMX only to switch it off.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

# ggml's option -> the /proc/cpuinfo flags that all have to be there, and the compiler's flag for it.
_X86: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "GGML_SSE42": (("sse4_2",), ("-msse4.2",)),
    "GGML_AVX": (("avx",), ("-mavx",)),
    "GGML_AVX2": (("avx2",), ("-mavx2",)),
    "GGML_FMA": (("fma",), ("-mfma",)),
    "GGML_F16C": (("f16c",), ("-mf16c",)),
    "GGML_BMI2": (("bmi2",), ("-mbmi2",)),
    "GGML_AVX_VNNI": (("avx_vnni",), ("-mavxvnni",)),
    "GGML_AVX512": (
        ("avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"),
        ("-mavx512f", "-mavx512cd", "-mavx512bw", "-mavx512dq", "-mavx512vl"),
    ),
    "GGML_AVX512_VBMI": (("avx512vbmi",), ("-mavx512vbmi",)),
    "GGML_AVX512_VNNI": (("avx512_vnni",), ("-mavx512vnni",)),
    "GGML_AVX512_BF16": (("avx512_bf16",), ("-mavx512bf16",)),
}
_AMX = ("GGML_AMX_TILE", "GGML_AMX_INT8", "GGML_AMX_BF16")
_AVX2_LEVEL = ("GGML_SSE42", "GGML_AVX", "GGML_AVX2", "GGML_FMA", "GGML_F16C", "GGML_BMI2")
_ALWAYS = ("-DLLAVA_BUILD=OFF",)  # the image encoder is not used

Accepts = Callable[[tuple[str, ...]], bool]


@dataclass(frozen=True)
class Processor:
    """What decides a build: `system` as in `sys.platform`, `machine` as in `uname -m`, the flags every core has."""

    system: str
    machine: str
    flags: frozenset[str]

    @property
    def is_x86(self) -> bool:
        return self.machine in {"x86_64", "amd64"}

    @property
    def is_arm64(self) -> bool:
        return self.machine in {"aarch64", "arm64"}


@dataclass(frozen=True)
class Build:
    """One way to compile llama.cpp: a name for people and the cmake arguments."""

    name: str
    cmake: tuple[str, ...]


def parse_cpuinfo(text: str) -> frozenset[str]:
    """The flags that *every* core of a Linux /proc/cpuinfo lists (cores may differ); empty if it lists none."""
    cores = [
        frozenset(value.split())
        for key, _, value in (line.partition(":") for line in text.splitlines())
        if key.strip() in {"flags", "Features"}
    ]
    return frozenset.intersection(*cores) if cores else frozenset()


def detect(cpuinfo: Path = Path("/proc/cpuinfo")) -> Processor:
    """This machine's processor. On macOS the flags stay empty: the package's own cmake file fixes the options there."""
    flags: frozenset[str] = frozenset()
    if sys.platform.startswith("linux"):
        try:
            flags = parse_cpuinfo(cpuinfo.read_text("utf-8", "replace"))
        except OSError:
            flags = frozenset()
    return Processor(sys.platform, platform.machine().lower(), flags)


def _x86(name: str, on: Iterable[str]) -> Build:
    chosen = set(on)
    options = [f"-D{option}={'ON' if option in chosen else 'OFF'}" for option in (*_X86, *_AMX)]
    return Build(name, ("-DGGML_NATIVE=OFF", *options, *_ALWAYS))


def _detected_x86(processor: Processor, accepts: Accepts) -> list[str]:
    found = [name for name, (needs, flags) in _X86.items() if processor.flags.issuperset(needs) and accepts(flags)]
    if "GGML_AVX512" not in found:
        found = [name for name in found if not name.startswith("GGML_AVX512")]
    if "GGML_AVX512_VNNI" in found and "GGML_AVX_VNNI" in found:
        found.remove("GGML_AVX_VNNI")  # the same instructions, wider
    return found


def ladder(processor: Processor, accepts: Accepts = lambda flags: True) -> tuple[Build, ...]:
    """The builds to try, fastest first; the last one runs on every processor of the architecture.

    `accepts` says whether the compiler takes these flags: older compilers do not know the newer ones.
    """
    if processor.is_x86 and processor.system != "darwin":
        found = _detected_x86(processor, accepts)
        builds = []
        if "GGML_AVX512" in found:
            builds.append(_x86("AVX-512", found))
        if set(found).issuperset(_AVX2_LEVEL):
            extra = ["GGML_AVX_VNNI"] if "GGML_AVX_VNNI" in found else []
            builds.append(_x86("AVX2", [*_AVX2_LEVEL, *extra]))
        elif "GGML_AVX" in found:
            builds.append(_x86("AVX", [name for name in found if name in _AVX2_LEVEL]))
        return (*builds, _x86("baseline x86-64", ()))
    if processor.is_arm64:
        first = "Metal" if processor.system == "darwin" else "this arm64 processor"
        return (Build(first, _ALWAYS), Build("baseline arm64", ("-DGGML_NATIVE=OFF", *_ALWAYS)))
    return (Build("baseline", ("-DGGML_NATIVE=OFF", *_ALWAYS)),)


def portable(processor: Processor) -> Build:
    """The build for an image that runs elsewhere: AVX2 on amd64 (2013 and later), the plain baseline on all others."""
    if processor.is_x86 and processor.system != "darwin":
        return _x86("portable AVX2", _AVX2_LEVEL)
    return Build("portable", ("-DGGML_NATIVE=OFF", *_ALWAYS))
