"""Turns the `when` of a rule into a function over signals, and into words.

Three-valued: an unavailable signal is unknown, never false. It never reads content: signals are numbers, flags, labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from classifiers.types import Signal
from policies.cel import cel_test
from policies.types import Condition, Leaf, Level, Measured, Reason, Rule, Test

_WORDS = {"at_least": "at least", "at_most": "at most", "in": "in", "is": "is"}


def ready(rule: Rule) -> Rule:
    """The rule with its `when` and `cel` compiled; decides as the rule itself does, in fewer microseconds."""
    reads = _signals(rule.when) if rule.when else []
    test = compile_test(rule.when)
    if rule.cel is not None:
        own, names = cel_test(rule.cel)
        test, reads = _all((test, own)), [*reads, *names]
    return replace(
        rule,
        test=test,
        reads=tuple(dict.fromkeys(reads)),
        demands=tuple(_demanded(rule.when)) if rule.when is not None else (),
        unmatched=_unmatched(rule),
    )


def unmatched(rule: Rule) -> Reason:
    """The reason of a rule that does not hold: made once, when the rule is compiled."""
    return rule.unmatched if rule.unmatched is not None else _unmatched(rule)


def _unmatched(rule: Rule) -> Reason:
    return Reason(rule.name, False, f"needs {needs(rule)}" if rule.when or rule.cel else "always")


def needs(rule: Rule) -> str:
    """The conditions of a rule in words, empty for one that always holds."""
    parts = ([describe(rule.when)] if rule.when else []) + ([f"cel `{rule.cel}`"] if rule.cel else [])
    return " and ".join(parts)


def compile_test(when: Condition | Leaf | None) -> Test:
    """A function that says whether `when` holds: True, False, or None where a signal is unavailable."""
    if when is None:
        return lambda measured: True
    if isinstance(when, Leaf):
        return _leaf(when)
    if when.kind == "any":
        parts = [compile_test(part) for part in when.parts]
        return parts[0] if len(parts) == 1 else _any(tuple(parts))
    bounds = [part for part in when.parts if isinstance(part, Leaf) and _is_bound(part)]
    parts = [compile_test(part) for part in when.parts if part not in bounds]
    if bounds:  # first, in one function: they are what most rules are made of
        parts.insert(0, _within(bounds))
    return parts[0] if len(parts) == 1 else _all(tuple(parts))


def describe(when: Condition | Leaf) -> str:
    """The condition in words: `complexity at least 0.7 and language in [en, de]`."""
    if isinstance(when, Leaf):
        value = f"[{', '.join(when.value)}]" if isinstance(when.value, tuple) else _show(when.value)
        return f"{when.signal} {_WORDS[when.operator]} {value}"
    joint = " and " if when.kind == "all" else " or "
    return joint.join(describe(part) if isinstance(part, Leaf) else f"({describe(part)})" for part in when.parts)


def measure(signals: Mapping[str, Signal], level: Level) -> Measured:
    """The signals made ready for conditions: what is a number, and no NaN, is picked out once for all rules."""
    numbers: dict[str, float] = {}
    for name, signal in signals.items():
        value = signal.value
        if (type(value) is float or type(value) is int) and signal.error is None and value == value:
            numbers[name] = value
    return Measured(signals, numbers, level)


class Evaluator:
    """Compiled rules against one request: whether each holds, and what was measured. Signals become words once."""

    __slots__ = ("_words", "measured")

    def __init__(self, signals: Mapping[str, Signal], level: Level) -> None:
        self.measured = measure(signals, level)
        self._words: dict[str, str] = {}

    def number(self, signal: str) -> float | None:
        """The value of a signal that is a number; None where it is unavailable."""
        return self.measured.numbers.get(signal)

    def holds(self, rule: Rule) -> bool | None:
        """True, False, or None where a signal is unavailable. Raises `ValueError` for a rule that is not `ready`."""
        if rule.test is None:
            raise ValueError(f"the rule {rule.name} is not compiled")
        return rule.test(self.measured)

    def why(self, rule: Rule) -> str:
        """For each signal that the rule names: `complexity 0.83, injection unavailable (timeout)`."""
        if not rule.reads:
            return "always"
        return ", ".join([self._words.get(name) or self._say(name) for name in rule.reads])

    def _say(self, name: str) -> str:
        words = self._words[name] = _measured(name, self.measured)
        return words


def _signals(when: Condition | Leaf) -> list[str]:
    if isinstance(when, Leaf):
        return [when.signal]
    return [name for part in when.parts for name in _signals(part)]


def _demanded(when: Condition | Leaf) -> list[Leaf]:
    """Leaves each of which must hold for `when` to hold."""
    if isinstance(when, Leaf):
        return [when]
    if when.kind == "any" and len(when.parts) > 1:
        return []
    return [leaf for part in when.parts for leaf in _demanded(part)]


def _measured(name: str, measured: Measured) -> str:
    if name == "sensitivity":
        return f"sensitivity {measured.level.word}"
    signal = measured.signals.get(name)
    if signal is None:
        return f"{name} unavailable"
    if signal.error is not None:
        return f"{name} unavailable ({signal.error})"
    return f"{name} {_show(signal.value)}"


def _show(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return "none" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"[{', '.join(sorted(value))}]" if isinstance(value, frozenset) else str(value)


def _all(parts: tuple[Test, ...]) -> Test:
    def test(measured: Measured) -> bool | None:
        result: bool | None = True
        for part in parts:
            holds = part(measured)
            if holds is False:
                return False
            if holds is None:
                result = None
        return result

    return test


def _any(parts: tuple[Test, ...]) -> Test:
    def test(measured: Measured) -> bool | None:
        result: bool | None = False
        for part in parts:
            holds = part(measured)
            if holds is True:
                return True
            if holds is None:
                result = None
        return result

    return test


def _leaf(leaf: Leaf) -> Test:
    if leaf.signal == "sensitivity":
        return _sensitivity(leaf)
    if _is_bound(leaf):
        return _within((leaf,))
    if isinstance(leaf.value, bool):
        return _is_flag(leaf.signal, leaf.value)
    wanted = leaf.value if isinstance(leaf.value, tuple) else (str(leaf.value),)
    return _labelled(leaf.signal, frozenset(wanted), exact=leaf.operator == "is")


def _number(value: object) -> float:
    assert isinstance(value, int | float), "the schema admits numbers only"
    return float(value)


def _sensitivity(leaf: Leaf) -> Test:
    words = leaf.value if isinstance(leaf.value, tuple) else (str(leaf.value),)
    wanted = frozenset(Level[word.upper()] for word in words)
    bound = max(wanted)
    if leaf.operator == "at_least":
        return lambda measured: measured.level >= bound
    if leaf.operator == "at_most":
        return lambda measured: measured.level <= bound
    return lambda measured: measured.level in wanted


def _is_bound(leaf: Leaf) -> bool:
    return leaf.operator in ("at_least", "at_most") and leaf.signal != "sensitivity"


def _within(leaves: Sequence[Leaf]) -> Test:
    """All of these bounds. What is no number, or NaN, lies on neither side: unknown, never False."""
    bounds = tuple(_bound(leaf) for leaf in leaves)

    def test(measured: Measured) -> bool | None:
        result: bool | None = True
        numbers = measured.numbers
        for name, low, high in bounds:
            value = numbers.get(name)
            if value is None:
                result = None
            elif value < low or value > high:
                return False
        return result

    return test


def _bound(leaf: Leaf) -> tuple[str, float, float]:
    number = _number(leaf.value)
    return (leaf.signal, number, math.inf) if leaf.operator == "at_least" else (leaf.signal, -math.inf, number)


def _is_flag(name: str, wanted: bool) -> Test:
    def test(measured: Measured) -> bool | None:
        signal = measured.signals.get(name)
        if signal is None or signal.error is not None or type(signal.value) is not bool:
            return None
        return signal.value is wanted

    return test


def _labelled(name: str, wanted: frozenset[str], *, exact: bool) -> Test:
    """`in`: any label of the signal is wanted. `is`: it has exactly the wanted one."""

    def test(measured: Measured) -> bool | None:
        signal = measured.signals.get(name)
        if signal is None or signal.error is not None:
            return None
        value = signal.value
        if type(value) is str:
            return value in wanted
        if not isinstance(value, frozenset):
            return None
        return value == wanted if exact else not wanted.isdisjoint(value)

    return test
