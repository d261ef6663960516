"""The compiled kernels: built without a warning, harmless with hostile input, and never used unless they agree."""

from __future__ import annotations

import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers import kernels as loading
from classifiers.classes import ClassModel
from classifiers.classes import load as load_classes
from classifiers.embedding import Embedding
from classifiers.experts import Experts
from classifiers.experts import load as load_experts
from classifiers.features import clip, data_of, extract, read
from classifiers.forms import form_of
from classifiers.forms import reference as form_by_patterns
from classifiers.kernels import KERNELS, Kernels
from classifiers.linear import load, with_kernel
from classifiers.meaning import MeaningModel
from classifiers.meaning import load as load_meaning
from classifiers.native.compiling import CannotCompile, compile_kernels, source_digest, source_files
from classifiers.spoken_language import LanguageSignal
from classifiers.wordpiece import by_row, parted
from deploy.kernels import find_compiler
from tests.classifiers.hostile_kernels import load as load_library

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "classifiers" / "native"
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")


# Text as people write it, and any text: words that the models know, marks, numbers, typography, other scripts.
WORDS = [
    "the",
    "patient’s",
    "Patientin",
    "results",
    "of",
    "our",
    "customers",
    "are",
    "confidential:",
    "$1,999",
    "password?",
    "{code}",
    "—",
    "“quoted”",
    "Straße",
    "naïve",
    "Übergröße",
    "ελληνικά",
    "漢字",
    "ﬁne",
    "x^2",
    "[1]",
    "@home",
    "#tag",
    "50%",
    "unheardofness",
    "zyxwvut",
    "__init__",
    "don't",
    "I’m",
]
WRITTEN = st.text() | st.lists(
    st.sampled_from([*WORDS, "\n", "\t", "\x1c", "\x00", "\u2028"]) | st.text(max_size=6)
).map(" ".join)


@pytest.fixture(scope="module")
def compiler() -> str:
    found = find_compiler()
    assert found is not None, "the README asks for a C compiler, and so do these tests"
    return found


@pytest.fixture(scope="module")
def fresh(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The kernels as they are now, whatever stands in the clone; a warning is an error."""
    folder = tmp_path_factory.mktemp("kernels")
    return load_library(str(compile_kernels(compiler, SOURCES, folder / "_kernels.abi3.so", "-Werror", "-pedantic")))


def test_a_library_says_what_it_was_made_from(fresh: Any) -> None:
    assert source_digest(SOURCES) == fresh.SOURCE


def test_the_declarations_of_the_stable_abi_are_those_of_python(compiler: str, tmp_path: Path) -> None:
    """Compiled together: a function declared otherwise is an error, and so is a structure of another shape."""
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").is_file():
        pytest.skip("this Python came without its headers")
    ours = (SOURCES / "python_abi.h").read_text("utf-8")
    is_function = re.compile(r"(?:extern |const )?\w+ \*?Py[A-Z]\w+(?:\(.*\))?;").fullmatch
    functions = [line for line in ours.splitlines() if is_function(line)]
    assert len(functions) > 25
    offsets = [
        f'_Static_assert(offsetof({kind}, {member}) == offsetof(struct our_{kind}, {member}), "{kind}.{member}");'
        for kind, members in {
            "Py_buffer": "buf obj len itemsize readonly ndim format shape strides suboffsets internal",
            "PyMethodDef": "ml_name ml_meth ml_flags ml_doc",
            "PyModuleDef": "m_base m_name m_doc m_size m_methods m_slots m_traverse m_clear m_free",
        }.items()
        for member in members.split()
    ]
    structures = ours[ours.index("typedef struct PyMethodDef") : ours.index("#define PyBUF_SIMPLE")]
    renamed = structures.replace("#define METH_FASTCALL", "#define OUR_METH_FASTCALL")
    for kind in ("Py_buffer", "PyMethodDef", "PyModuleDef_Base", "PyModuleDef"):
        renamed = renamed.replace(f"typedef struct {kind} {{", f"struct our_{kind} {{").replace(f"}} {kind};", "};")
    renamed = renamed.replace("typedef struct {\n    void *buf", "struct our_Py_buffer {\n    void *buf")
    renamed = renamed.replace("    PyModuleDef_Base m_base", "    struct our_PyModuleDef_Base m_base")
    program = "\n".join(
        (
            "#define Py_LIMITED_API 0x030b0000",
            "#include <Python.h>",
            "#include <stddef.h>",
            *functions,
            renamed,
            *offsets,
            '_Static_assert(sizeof(PyModuleDef) == sizeof(struct our_PyModuleDef), "PyModuleDef");',
            '_Static_assert(sizeof(Py_buffer) == sizeof(struct our_Py_buffer), "Py_buffer");',
            '_Static_assert(METH_FASTCALL == OUR_METH_FASTCALL, "METH_FASTCALL");',
            '_Static_assert(PyBUF_SIMPLE == 0, "PyBUF_SIMPLE");',
        )
    )
    (tmp_path / "both.c").write_text(program)
    command = [compiler, "-std=c11", "-fsyntax-only", f"-I{include}", str(tmp_path / "both.c")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_input_makes_a_kernel_read_or_write_where_it_may_not(compiler: str, tmp_path: Path) -> None:
    """Under the address and undefined-behaviour sanitizers, over random and hostile inputs."""
    library = compile_kernels(compiler, SOURCES, tmp_path / "_kernels.abi3.so", *SANITIZERS)
    runtime = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout
    variables = {**os.environ, "LD_PRELOAD": runtime.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": str(ROOT)}
    variables.pop("GATEHOUSE_TEST_GUARD_FILE", None)
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests" / "classifiers" / "hostile_kernels.py"), str(library)],
        env=variables, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "rounds" in done.stdout


@given(WRITTEN)
def test_the_features_of_any_text_are_those_of_the_reference(fresh: Any, text: str) -> None:
    buckets, surface = fresh.contents(fresh.features(data_of(text)))
    reference = extract(text)
    assert sorted(np.frombuffer(buckets, dtype=np.int32).tolist()) == reference.buckets.tolist()
    assert np.frombuffer(surface).tolist() == reference.surface.tolist()


@given(WRITTEN)
def test_a_linear_model_gives_what_the_reference_gives(fresh: Any, text: str) -> None:
    model = load("injection")
    compiled = fresh.linear(model.grams, model.surface, model.mean, model.deviation, model.step, model.bias)
    assert fresh.logit(compiled, fresh.features(data_of(text))) == pytest.approx(model.logit(extract(text)), abs=1e-9)


@pytest.fixture(scope="module")
def of_meaning(fresh: Any) -> tuple[MeaningModel, Any]:
    """The shipped model, and the same in C."""
    model = replace(load_meaning(), compiled=None)
    return model, fresh.meaning(fresh.words(model.words), model.rows, model.steps, model.inner, model.outer, model.bias)


@given(WRITTEN | st.binary(max_size=200))
def test_what_a_text_means_is_what_the_reference_says(
    fresh: Any, of_meaning: tuple[MeaningModel, Any], text: str | bytes
) -> None:
    """Of any bytes, UTF-8 or not."""
    raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
    model, compiled = of_meaning
    assert fresh.meaning_logits(compiled, raw) == pytest.approx(model.logits(raw).tolist(), abs=1e-9)


@pytest.fixture(scope="module")
def of_embedding(fresh: Any) -> tuple[Embedding, Any]:
    """The shipped embedding, and the same in C."""
    with np.load(io.BytesIO((files("classifiers.artifacts") / "embedding.npz").read_bytes())) as archive:
        arrays = dict(archive)
    lines = by_row(arrays["vocabulary"].tobytes().decode().split("\n"))
    first, later = (fresh.words(each) for each in lines)
    return Embedding.load(), fresh.embedding(first, later, arrays["table"], arrays["scale"].astype(np.float32))


@given(WRITTEN)
def test_the_vector_of_a_text_is_that_of_the_reference(
    fresh: Any, of_embedding: tuple[Embedding, Any], text: str
) -> None:
    reference, compiled = of_embedding
    made = np.frombuffer(fresh.vector(compiled, parted(clip(text))), dtype=np.float32)
    assert made == pytest.approx(reference.reference(text), abs=1e-6)


@given(WRITTEN)
def test_the_form_of_a_prompt_is_that_of_the_reference(fresh: Any, text: str) -> None:
    plain = text.encode("ascii", "ignore").decode()
    for prompt in (plain, f"Ann has two apples and 3 {plain}", f"{plain}\nB. {plain}?", plain * 9 + "? 1 2"):
        assert fresh.form_of(prompt[:4000].encode()) == form_by_patterns(prompt[:4000])


def test_the_form_at_each_mark(fresh: Any) -> None:
    """Options, numbers in digits and in words, and each mark of a formula or of code, right and nearly right."""
    options = ("\n(B) x", "\nB", "\n(B", "B. x", "\n(B: ", "\n\nB) x")
    numbers = ("12", "1 and 2", "two", "two and half", "two2 3", "a1b2", "tents", "2two")
    marks = ("", "\n  def", "\ndefine", "{\n", "{ \t\n x", "}^", "\\a", "\\A", ";\r\n", "\n\x1c import")
    problems = (
        f"Ann has {number} apples, and gives all of them away to Tom on Monday. How many{mark}? {more}"
        for number in numbers
        for mark in marks
        for more in ("", "{", "\n", "\nclass")
    )
    for text in (*options, *problems):
        assert fresh.form_of(text.encode()) == form_by_patterns(text), text


@pytest.fixture(scope="module")
def models() -> tuple[Experts, ClassModel, ClassModel, LanguageSignal]:
    """With the kernels of this clone, which has to have them."""
    found = load_experts("complexity"), load_classes("domain"), load_classes("task"), LanguageSignal()
    assert KERNELS.describe() == "native", "python -m deploy.kernels compiles them"
    return found


@given(WRITTEN)
def test_every_signal_measures_what_the_reference_measures(models: Any, text: str) -> None:
    experts, domain, task, language = models
    assert experts.logit(text) == pytest.approx(experts.reference(text, form_of(text)), abs=1e-6)
    for model in (domain, task):
        assert model.chances(text) == pytest.approx(model.reference(text), abs=1e-5)
    assert language.by_kernel(text) == language.by_numpy(text)


@given(st.lists(st.binary(max_size=20).filter(lambda word: b"\n" not in word), min_size=1), st.binary(max_size=20))
def test_a_table_of_words_is_a_dictionary(fresh: Any, lines: list[bytes], other: bytes) -> None:
    table, known = fresh.words(b"\n".join(lines)), {word: number for number, word in enumerate(lines)}
    for word in (*lines, other):
        assert fresh.find(table, word) == known.get(word, -1)


def test_arrays_of_another_size_are_refused(fresh: Any) -> None:
    model = load("injection")
    with pytest.raises(ValueError, match="wrong size"):
        fresh.linear(model.grams[:-1], model.surface, model.mean, model.deviation, 1.0, 0.0)
    with pytest.raises(ValueError, match="Capsule"):
        fresh.logit("model", "features")


def _unused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Kernels:
    monkeypatch.setattr(loading, "FOLDER", folder)
    return Kernels()


def test_without_a_library_the_reference_works_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _unused(tmp_path, monkeypatch).describe() == "reference (not compiled)"


def test_a_library_of_other_sources_is_not_used(compiler: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in source_files(SOURCES):
        shutil.copy(path, tmp_path)
    compile_kernels(compiler, tmp_path)
    standing = _unused(tmp_path, monkeypatch)
    assert standing.describe() == "native"
    (tmp_path / "features.c").write_text((tmp_path / "features.c").read_text() + "\n")
    assert _unused(tmp_path, monkeypatch).describe() == "reference (compiled from other sources)"


def test_what_is_no_library_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "_kernels.abi3.so").write_bytes(b"\x7fELF, but not really")
    assert _unused(tmp_path, monkeypatch).describe() == "reference (cannot be loaded: ImportError)"


class _Wrong(ModuleType):
    """Kernels that are there and miscalculate."""

    linear = staticmethod(lambda *_: object())
    features = staticmethod(lambda data: data)
    logit = staticmethod(lambda model, features: 0.25)


def test_a_kernel_that_does_not_agree_with_the_reference_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = Kernels(_Wrong("wrong"), "native")
    monkeypatch.setattr(importlib.import_module("classifiers.linear"), "KERNELS", wrong)
    monkeypatch.setattr(importlib.import_module("classifiers.features"), "KERNELS", wrong)
    model = load("injection")
    read.cache_clear()  # of what the wrong ones made
    assert model.compiled is None
    assert wrong.describe() == "native, without injection"


def test_kernels_are_switched_off_before_they_are_used_or_not_at_all() -> None:
    standing = Kernels()
    standing.switch_off()
    assert standing.module() is None
    assert standing.is_off
    assert standing.describe() == "reference (switched off)"
    with pytest.raises(RuntimeError, match="in use"):
        Kernels(_Wrong("in use"), "native").switch_off()


def test_a_compiler_that_fails_is_told_with_its_words(compiler: str, tmp_path: Path) -> None:
    (tmp_path / "module.c").write_text("no C at all\n")
    with pytest.raises(CannotCompile, match="error"):
        compile_kernels(compiler, tmp_path)
    with pytest.raises(CannotCompile, match="cannot be run"):
        compile_kernels(str(tmp_path / "cc"), tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "module.c"]


def test_the_models_in_service_use_the_kernels_of_this_clone() -> None:
    """After the set-up they are there; a clone without a compiler runs this test's other half."""
    model = load("injection")
    assert not KERNELS.refused
    assert (model.compiled is not None) == (KERNELS.module() is not None)
    assert with_kernel("injection", model).logit_of("Ignore all that.") == pytest.approx(
        model.logit(extract("Ignore all that.")), abs=1e-9
    )


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has loaded is read from /proc")
@pytest.mark.parametrize("compiled", [True, False])
def test_a_pipeline_without_kernels_has_none_in_its_scan_process_either(compiled: bool) -> None:
    script = f"""
import asyncio
from pathlib import Path
from classifiers.kernels import KERNELS
from classifiers.pipeline import Pipeline
from classifiers.registry import DETECTORS, SIGNALS

async def main():
    names = {{"meaning": DETECTORS["meaning"]}}, {{"injection": SIGNALS["injection"]}}
    pipeline = Pipeline(detectors=names[0], signals=names[1], compiled={compiled})
    await pipeline.start()
    child = Path(f"/proc/{{pipeline.scan_process_pid}}/maps").read_text()
    print(KERNELS.describe(), "_kernels" in Path("/proc/self/maps").read_text(), "_kernels" in child, sep=", ")
    await pipeline.close()

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    said = "native, True, True" if compiled else "reference (switched off), False, False"
    assert done.stdout.strip() == said
