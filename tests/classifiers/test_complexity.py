"""Complexity: everyday requests are easy, research is hard, and any shape of body has an answer or a typed error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from classifiers.complexity import HARD, MEDIUM, ComplexitySignal, band
from classifiers.linear import ArtifactError

EASY = (
    "What's the weather",
    "What's the weather in Lisbon tomorrow?",
    "translate hello",
    "What is the capital of France?",
    "Hello",
    "Thanks!",
    "What time is it?",
    "How do I reset my password?",
    "Convert 10 miles to km",
    "Write an email to my boss asking for Friday off.",
    "Summarize this email in one sentence: Hi team, the launch has moved to Monday. Please update your calendars.",
    "Fix this sentence: he go to school yesterday.",
)
DIFFICULT = (
    "design a distributed consensus protocol and prove its safety",
    "Design a distributed consensus protocol that tolerates Byzantine faults and prove its safety and liveness.",
    "Derive the Kerr metric from the Einstein field equations and discuss the ergosphere.",
    "Implement a lock-free MPMC queue in C++20 with hazard pointers and prove linearizability.",
    "Prove that there are infinitely many primes of the form 4k+3, and generalise it by Dirichlet's theorem.",
    "A particle of mass m is confined in a three-dimensional harmonic potential. Compute the second-order correction "
    "to the ground state energy under a perturbation lambda x^4 and discuss its convergence.",
)
LONG = "Please read this list of words and tell me which one is a fruit. " * 4000


@pytest.fixture(scope="module")
def signal() -> ComplexitySignal:
    return ComplexitySignal()


def ask(content: Any, *before: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [*before, {"role": "user", "content": content}]}


def value(signal: ComplexitySignal, body: dict[str, Any]) -> float:
    measured = signal.measure(body)
    assert isinstance(measured.value, float)
    assert measured.error is None
    assert 0.0 <= measured.value <= 1.0
    assert measured.band == band(measured.value)
    return measured.value


@pytest.mark.parametrize("text", EASY)
def test_an_everyday_request_is_easy(signal: ComplexitySignal, text: str) -> None:
    assert value(signal, ask(text)) < MEDIUM


@pytest.mark.parametrize("text", DIFFICULT)
def test_research_and_proofs_are_hard(signal: ComplexitySignal, text: str) -> None:
    assert value(signal, ask(text)) >= HARD


GADGET = "prove rigorous Hausdorff lemma eigenvalue asymptotic linearizability manifold Byzantine theorem"


@pytest.mark.parametrize("text", ["How do I reset my password?", "What's the weather in Lisbon tomorrow?", EASY[9]])
def test_hard_words_beside_an_everyday_request_do_not_make_it_hard(signal: ComplexitySignal, text: str) -> None:
    assert value(signal, ask(f"{GADGET} {GADGET}")) >= HARD
    assert value(signal, ask(f"{GADGET} {text}")) < HARD
    assert value(signal, ask(f"{text} {GADGET}")) < HARD


def test_a_short_preface_does_not_hide_a_hard_question(signal: ComplexitySignal) -> None:
    question = (
        "Prove that there are infinitely many primes congruent to 3 modulo 4, then explain with full rigour why the "
        "same elementary argument fails for primes congruent to 1 modulo 4, and give a proof that works there."
    )
    assert value(signal, ask(f"My card is 4111 1111 1111 1111. {question}")) >= HARD
    assert value(signal, ask(f"Hello there, I hope you are well. {question}")) >= HARD
    assert value(signal, ask(f"{question} Ask bob@corp-mail.com.")) >= HARD


def test_the_bands_meet_at_0_4_and_0_7() -> None:
    assert [band(number) for number in (0.0, 0.3999, 0.4, 0.6999, 0.7, 1.0)] == [
        "easy", "easy", "medium", "medium", "hard", "hard",
    ]  # fmt: skip


def test_parts_count_as_the_text_that_they_hold(signal: ComplexitySignal) -> None:
    parts = [{"type": "text", "text": DIFFICULT[0]}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    assert value(signal, ask(parts)) == value(signal, ask(DIFFICULT[0]))


def test_the_last_user_message_decides_and_not_what_came_before(signal: ComplexitySignal) -> None:
    before = ({"role": "user", "content": DIFFICULT[0]}, {"role": "assistant", "content": "Certainly."})
    assert value(signal, ask("Thanks!", *before)) == value(signal, ask("Thanks!"))


def test_a_long_system_prompt_adds_a_little_and_never_makes_a_greeting_hard(signal: ComplexitySignal) -> None:
    alone = value(signal, ask("Hello"))
    system = {"role": "system", "content": "Answer kindly. " * 20000}
    assert alone < value(signal, ask("Hello", system)) < MEDIUM


def test_a_conversation_without_a_user_message_is_measured_by_its_last_text(signal: ComplexitySignal) -> None:
    body = {"messages": [{"role": "system", "content": "Be kind."}, {"role": "tool", "content": DIFFICULT[0]}]}
    assert value(signal, body) == value(signal, ask(DIFFICULT[0]))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": None},
        {"messages": []},
        {"messages": "hello"},
        {"messages": [None, 3, "hello"]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": None}]},
        {"messages": [{"role": "user", "content": ""}]},
        {"messages": [{"role": "user", "content": " \n"}]},
        {"messages": [{"role": "user", "content": []}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}, {"type": "text", "text": 3}, None]}]},
    ],
)
def test_a_body_without_text_is_the_error_not_available(signal: ComplexitySignal, body: dict[str, Any]) -> None:
    measured = signal.measure(body)
    assert (measured.value, measured.error, measured.band) == (None, "not_available", None)


@pytest.mark.parametrize(
    "text", ["x", "?", "漢字", "😀" * 2000, "\ud800", "\x00\x01", "a" * 50_000, "\n" * 9 + "a", LONG]
)
def test_any_text_has_a_value(signal: ComplexitySignal, text: str) -> None:
    value(signal, ask(text))


def test_of_a_very_long_prompt_the_beginning_and_the_end_are_read(signal: ComplexitySignal) -> None:
    middle = LONG[:100_000] + "Prove that every compact Hausdorff space is normal." + LONG[:100_000]
    same = LONG[:100_000] + "Tell me which of these words has the most letters.." + LONG[:100_000]
    assert value(signal, ask(middle)) == value(signal, ask(same))
    assert value(signal, ask(LONG + DIFFICULT[0])) > value(signal, ask(LONG))


def test_another_process_with_another_hash_seed_measures_the_same(signal: ComplexitySignal) -> None:
    program = (
        "import sys\nfrom classifiers.complexity import ComplexitySignal\nsignal = ComplexitySignal()\n"
        "for line in sys.stdin.read().split('|'):\n"
        "    print(signal.measure({'messages': [{'role': 'user', 'content': line}]}).value)"
    )
    texts = (*EASY, *DIFFICULT)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input="|".join(texts),
        cwd=Path(__file__).parents[2],
        env={"PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == [str(value(signal, ask(text))) for text in texts]


def test_serving_imports_neither_scikit_learn_nor_training() -> None:
    program = (
        "import sys\nfrom classifiers.complexity import ComplexitySignal\n"
        "from classifiers.injection import InjectionSignal\n"
        "body = {'messages': [{'role': 'user', 'content': 'Hello'}]}\n"
        "assert None not in (ComplexitySignal().measure(body).value, InjectionSignal().measure(body).value)\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] in ('sklearn', 'scipy', 'joblib')]\n"
        "assert not loaded and 'classifiers.training' not in sys.modules, loaded"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_an_absent_artifact_is_an_error_at_construction(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"complexity\.npz cannot be read"):
        ComplexitySignal(tmp_path)
