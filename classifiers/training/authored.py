"""Prompts of our own from templates, each group with a difficulty that we assigned: what benchmarks lack at both ends.

The difficulties are judgement, not measurement; figures about quality are therefore never computed on these rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

SEED = 20261120
_PER_TEMPLATE = 20


@dataclass(frozen=True, slots=True)
class Authored:
    """One prompt, the chance that a small model fails at it (assigned), and the template's group."""

    prompt: str
    difficulty: float
    group: str


_SLOTS: dict[str, tuple[str, ...]] = {
    "language": ("French", "German", "Spanish", "Italian", "Dutch", "Portuguese", "Japanese", "Polish", "Swedish"),
    "phrase": (
        "good morning",
        "thank you",
        "goodbye",
        "where is the station",
        "I am hungry",
        "see you tomorrow",
        "yes",
    ),
    "city": ("London", "Paris", "New York", "Tokyo", "Berlin", "Sydney", "Toronto", "Rome", "Chicago", "Madrid"),
    "country": ("France", "Italy", "Kenya", "Canada", "Norway", "Brazil", "India", "Mexico", "Spain", "Greece"),
    "word": (
        "house",
        "happy",
        "necessary",
        "ubiquitous",
        "receipt",
        "river",
        "frugal",
        "candid",
        "weather",
        "calendar",
    ),
    "thing": ("a cat", "my dog", "a rainy day", "the sea", "coffee", "spring", "a birthday", "the moon", "friendship"),
    "dish": ("pancakes", "tomato soup", "rice", "an omelette", "banana bread", "salad", "pasta", "tea"),
    "time": ("7 am", "noon", "5 pm", "ten minutes", "half an hour", "tomorrow morning", "Monday", "tonight"),
    "sentence": (
        "i goes to the shop yesterday",
        "The meeting is moved to Thursday at three.",
        "please send me the report when its ready",
        "She have two brothers and one sister.",
        "We are sorry for the delay and will ship your order today.",
        "the train was late so i missed the start of the film",
    ),
    "person": ("my boss", "a customer", "my landlord", "a colleague", "my teacher", "a neighbour", "the team"),
    "matter": ("a day off", "a late delivery", "a broken heater", "a meeting next week", "a refund", "a new laptop"),
    "subject": ("photosynthesis", "inflation", "how a fridge works", "gravity", "the water cycle", "vaccines", "tides"),
    "program": (
        "reverses a string",
        "counts the words in a file",
        "checks whether a number is prime",
        "removes duplicates from a list",
        "reads a CSV file and prints the second column",
        "finds the largest number in a list",
        "converts Celsius to Fahrenheit",
        "sorts a dictionary by its values",
    ),
    "theorem": (
        "every compact Hausdorff space is normal",
        "there are infinitely many primes congruent to 3 modulo 4",
        "the dual of a separable Hilbert space is separable",
        "every finite integral domain is a field",
        "a continuous bijection from a compact space to a Hausdorff space is a homeomorphism",
        "the halting problem is undecidable",
        "the group of units modulo p is cyclic for every prime p",
        "the set of zeros of a non-zero analytic function is discrete",
        "every bounded sequence in a reflexive Banach space has a weakly convergent subsequence",
        "the chromatic number of a planar graph is at most five",
        "a martingale bounded in L2 converges almost surely",
        "every subgroup of a free group is free",
    ),
    "physics": (
        "the energy spectrum of a relativistic electron in a uniform magnetic field",
        "the one-loop beta function of quantum electrodynamics",
        "the Hawking temperature of a Schwarzschild black hole",
        "the critical exponents of the Ising model by the renormalisation group",
        "the scattering cross section of two identical fermions in the Born approximation",
        "the dispersion relation of spin waves in an antiferromagnet",
        "the Landau damping rate of a plasma wave",
        "the partition function of an ideal Bose gas in a harmonic trap",
        "the Christoffel symbols and geodesics of the Kerr metric",
        "the hyperfine splitting of hydrogen with perturbation theory",
    ),
    "system": (
        "a geo-replicated transactional key-value store",
        "a lock-free concurrent hash table with safe memory reclamation",
        "a Byzantine fault tolerant log for an untrusted network",
        "a real-time fraud detection pipeline for a million events a second",
        "an incremental garbage collector for a functional language",
        "a conflict-free replicated text editor that works offline",
        "a compiler pass that vectorises nested loops with dependences",
        "a zero-knowledge voting scheme",
        "a multi-tenant scheduler with fairness and isolation guarantees",
        "a distributed snapshot algorithm for a stream processor",
    ),
    "property": (
        "prove that it is linearizable",
        "prove its correctness under arbitrary message delays",
        "analyse its worst-case complexity and failure modes",
        "show that it makes progress when a minority of nodes crash",
        "give a formal specification in TLA+ and its invariants",
        "compare three alternatives and justify every trade-off quantitatively",
    ),
    "research": (
        "the identification assumptions of a difference-in-differences study with staggered adoption",
        "the mechanism of resistance to third-generation EGFR inhibitors and a trial to test it",
        "the constitutional limits of delegated legislation in three jurisdictions",
        "whether the efficient market hypothesis survives the equity premium puzzle",
        "the total synthesis of a polycyclic alkaloid with four contiguous stereocentres",
        "the identifiability of a structural vector autoregression with sign restrictions",
        "the generalisation bounds of over-parameterised neural networks through PAC-Bayes",
        "the thermodynamic limits of error correction in kinetic proofreading",
        "the liability of platform operators under competing data protection statutes",
    ),
    "protocol": (
        "a distributed commit protocol",
        "a leader election algorithm for asynchronous networks",
        "a replicated state machine",
        "a cache coherence protocol",
        "an atomic broadcast service",
        "a key exchange protocol with forward secrecy",
        "a distributed lock service",
        "a gossip membership protocol",
        "a quorum system for a wide-area store",
        "a wait-free snapshot object",
        "a consensus algorithm for crash-recovery failures",
        "an authenticated data structure for untrusted storage",
    ),
    "guarantee": ("safety", "liveness", "safety and liveness", "linearizability", "termination", "serializability"),
    "advanced": (
        "Noether's theorem",
        "the spectral theorem for unbounded operators",
        "the Atiyah-Singer index theorem",
        "the Black-Scholes equation",
        "Gödel's second incompleteness theorem",
        "the PCP theorem",
        "the Navier-Stokes equations for turbulent flow",
        "Galois theory of function fields",
        "the BCS theory of superconductivity",
        "quantum error correction with surface codes",
        "the Cramér-Rao lower bound",
        "the Stone-Weierstrass theorem",
        "the Fokker-Planck equation",
        "étale cohomology",
        "the Einstein field equations with a cosmological constant",
        "Kolmogorov complexity",
        "the Feynman path integral",
        "the density functional of an inhomogeneous electron gas",
        "the Arrow-Debreu equilibrium",
        "the minimax theorem for zero-sum games",
        "variational autoencoders and their evidence lower bound",
        "the Michaelis-Menten kinetics of a two-substrate enzyme",
    ),
}

# (group, difficulty, template); a slot's name in braces is filled from the table above.
_TEMPLATES: tuple[tuple[str, float, str], ...] = (
    ("greeting", 0.03, "Hello"),
    ("greeting", 0.03, "hi there, how are you?"),
    ("greeting", 0.03, "Good morning!"),
    ("greeting", 0.03, "Thanks, that was helpful."),
    ("greeting", 0.03, "ok thank you, bye"),
    ("greeting", 0.05, "What can you do?"),
    ("greeting", 0.05, "who are you"),
    ("translate", 0.06, "Translate {phrase} to {language}"),
    ("translate", 0.06, "How do you say '{phrase}' in {language}?"),
    ("translate", 0.06, "translate {word} into {language}"),
    ("translate", 0.10, "Translate to {language}: {sentence}"),
    ("lookup", 0.06, "What's the weather in {city}?"),
    ("lookup", 0.06, "what time is it in {city}"),
    ("lookup", 0.05, "What is the capital of {country}?"),
    ("lookup", 0.08, "Which language do people speak in {country}?"),
    ("lookup", 0.08, "What is the currency of {country}?"),
    ("lookup", 0.08, "Tell me something about {city}."),
    ("reminder", 0.05, "Remind me to call {person} at {time}"),
    ("reminder", 0.05, "set a timer for {time}"),
    ("word", 0.06, "What does {word} mean?"),
    ("word", 0.06, "How do you spell {word}?"),
    ("word", 0.08, "Give me a synonym for {word}."),
    ("word", 0.10, "Use the word {word} in a sentence."),
    ("rewrite", 0.10, "Correct the grammar: {sentence}"),
    ("rewrite", 0.12, "Make this more polite: {sentence}"),
    ("rewrite", 0.12, "Rewrite this sentence in simpler words: {sentence}"),
    ("rewrite", 0.12, "Summarize in one sentence: {sentence}"),
    ("rewrite", 0.12, "Fix the spelling and punctuation.\n\n{sentence}"),
    ("small-task", 0.12, "Tell me a joke about {thing}."),
    ("small-task", 0.15, "Write a short poem about {thing}."),
    ("small-task", 0.12, "How do I make {dish}?"),
    ("small-task", 0.15, "Give me a simple recipe for {dish}."),
    ("small-task", 0.15, "Write a short birthday message for {person}."),
    ("small-task", 0.20, "Write an e-mail to {person} about {matter}."),
    ("small-task", 0.20, "Draft a short reply to {person} about {matter}, friendly and clear."),
    ("explain", 0.20, "What is {subject}?"),
    ("explain", 0.22, "Explain {subject} to a child."),
    ("explain", 0.30, "Explain {subject} in a few sentences, with one example."),
    ("code", 0.35, "Write a Python function that {program}."),
    ("code", 0.40, "How do I write a program that {program} in Java? Show the code."),
    ("look-alike", 0.10, "Please ignore my previous message, I will be there at {time}."),
    ("look-alike", 0.10, "Forget about {dish}, let's make {dish} instead. What do I need?"),
    ("look-alike", 0.10, "Ignore the spelling and tell me whether this sounds polite: {sentence}"),
    ("look-alike", 0.20, "You are a friendly teacher. Explain {subject} to {person}."),
    ("look-alike", 0.15, "Follow the instructions for {dish} and tell me what to do at {time}."),
    ("craft", 0.25, "Design a birthday card for {person}."),
    ("craft", 0.25, "Design a simple logo idea about {thing}."),
    ("craft", 0.20, "Give me some ideas for a weekend in {city}."),
    ("craft", 0.15, "Can you explain in one sentence what {word} means?"),
    ("glance", 0.50, "In simple words, what is {advanced}?"),
    ("glance", 0.50, "Give me a short overview of {advanced}."),
    ("proof", 0.92, "Prove that {theorem}."),
    ("proof", 0.92, "Give a complete and rigorous proof that {theorem}, stating every lemma that you use."),
    ("proof", 0.90, "Show that {theorem}, and discuss whether the converse holds."),
    ("proof", 0.92, "Prove or disprove: {theorem}. Generalise the result as far as you can."),
    ("theory", 0.92, "Prove {advanced}."),
    ("theory", 0.92, "Derive {advanced} from first principles and discuss every assumption."),
    ("theory", 0.90, "Explain {advanced} in full detail, with the complete proof and its consequences."),
    ("theory", 0.90, "Formulate {advanced} rigorously, then compute the leading correction."),
    ("protocol", 0.92, "Design {protocol} and prove its {guarantee}."),
    ("protocol", 0.92, "Specify {protocol} that tolerates faulty nodes, and prove {guarantee}."),
    ("protocol", 0.90, "Implement {protocol} in C++, with a proof of {guarantee} and an analysis of its cost."),
    ("physics", 0.92, "Derive {physics}."),
    ("physics", 0.92, "Calculate {physics} to second order."),
    ("physics", 0.92, "Starting from first principles, calculate {physics} and discuss the limits of validity."),
    ("physics", 0.90, "Explain at graduate level how one obtains {physics}, with all intermediate steps."),
    ("design", 0.90, "Design {system} and {property}."),
    ("design", 0.90, "Propose an architecture for {system}. Then {property}."),
    ("design", 0.92, "Implement {system} in Rust, {property}, and explain each design decision."),
    ("design", 0.90, "Write {system} from scratch in C, and {property}."),
    ("research", 0.88, "Write a critical review of {research}."),
    ("research", 0.88, "Write a comprehensive analysis of {research}."),
    ("research", 0.90, "Analyse {research}, and propose an original approach with its weaknesses."),
    ("research", 0.88, "As an expert, evaluate {research} with reference to the literature."),
)


def authored(seed: int = SEED) -> Iterator[Authored]:
    """Every template, filled up to 20 times; no prompt twice."""
    draw = random.Random(seed)  # noqa: S311  # a reproducible draw, not a secret
    seen: set[str] = set()
    for group, difficulty, template in _TEMPLATES:
        for _ in range(_PER_TEMPLATE if "{" in template else 1):
            prompt = template.format(**{name: draw.choice(values) for name, values in _SLOTS.items()})
            if prompt not in seen:
                seen.add(prompt)
                yield Authored(prompt, difficulty, group)
