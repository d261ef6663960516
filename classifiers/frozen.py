"""Frozen dataclasses that are made a thousand times a second: made as fast as open ones, and frozen all the same.

A frozen dataclass sets each of its members through `object.__setattr__`, which takes ten times as long as setting it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar

_T = TypeVar("_T")


def quickly_made(cls: type[_T]) -> type[_T]:
    """`cls`, a dataclass with `frozen=True, slots=True`: a value is filled as an open twin, and only then becomes one.

    Raises `TypeError` for a class of another kind: one that extends another, or has members that are set later.
    """
    own = fields(cls)  # type: ignore[arg-type]  # whoever decorates a dataclass has one
    names = tuple(each.name for each in own)
    is_plain = cls.__bases__ == (object,) and getattr(cls, "__slots__", None) == names
    if not is_plain or hasattr(cls, "__post_init__") or not all(each.init and not each.kw_only for each in own):
        raise TypeError(f"{cls.__name__} is no plain frozen dataclass with slots")
    twin = type(f"_Open{cls.__name__}", (), {"__slots__": names})
    made = _make(cls, own, twin)
    cls.__new__ = made  # type: ignore[method-assign]
    del cls.__init__
    cls.__reduce__ = lambda self: (cls, tuple(getattr(self, name) for name in names))  # type: ignore[method-assign]
    return cls


def _make(cls: type, own: tuple[Field[Any], ...], twin: type) -> Callable[..., Any]:
    """`__new__` as a function with the members as its parameters."""
    known: dict[str, Any] = {"new": object.__new__, "Twin": twin, "MISSING": MISSING}
    parameters, lines = ["cls"], ["self = new(Twin)"]
    for each in own:
        value = each.name
        if each.default_factory is not MISSING:
            known[f"make_{each.name}"] = each.default_factory
            value = f"make_{each.name}() if {each.name} is MISSING else {each.name}"
            parameters.append(f"{each.name}=MISSING")
        elif each.default is not MISSING:
            known[f"default_{each.name}"] = each.default
            parameters.append(f"{each.name}=default_{each.name}")
        else:
            parameters.append(each.name)
        lines.append(f"self.{each.name} = {value}")
    source = f"def __new__({', '.join(parameters)}):\n " + "\n ".join([*lines, "self.__class__ = cls", "return self"])
    exec(source, known)  # noqa: S102  # of names of our own members alone, as `dataclass` does
    made: Callable[..., Any] = known["__new__"]
    made.__qualname__ = f"{cls.__qualname__}.__new__"
    made.__module__ = cls.__module__
    return made
