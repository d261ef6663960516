"""Detectors that raise, wait, hang, die or cannot be built: the faults that the pipeline must turn into values."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from classifiers.detectors.base import Piece
from classifiers.types import Gap, Match, Signal


class Raising:
    name = "raising"
    entities = frozenset({"RAISING"})
    triggers = ("boom",)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        raise LookupError(piece.data.decode())


class Slow:
    name = "slow"
    entities = frozenset({"SLOW"})
    triggers = ("wait",)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        time.sleep(0.15)
        return []


class Stuck:
    name = "stuck"
    entities = frozenset({"STUCK"})
    triggers = ("forever",)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        time.sleep(3600)
        return []


class Dying:
    name = "dying"
    entities = frozenset({"DYING"})
    triggers = ("die now",)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        os._exit(9)


class Baffled:
    """Cannot read the word "rhubarb"."""

    name = "baffled"
    entities: frozenset[str] = frozenset()
    triggers = ("rhubarb",)

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Gap]:
        at = piece.data.index(b"rhubarb", piece.start)
        return [Gap("unsupported_language", at, at + 7)]


class Unbuildable:
    name = "unbuildable"
    entities = frozenset({"UNBUILDABLE"})
    triggers = ()

    def __init__(self) -> None:
        raise FileNotFoundError("artifact")


class Everywhere:
    """Called for every piece, and counts the calls."""

    name = "everywhere"
    entities = frozenset({"EVERYWHERE"})
    triggers = ()
    calls = 0

    def detect(self, piece: Piece, hits: Sequence[int]) -> list[Match]:
        type(self).calls += 1
        return []


class RaisingSignal:
    name = "complexity"

    def measure(self, body: Mapping[str, Any]) -> Signal:
        raise ZeroDivisionError
