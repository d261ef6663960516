"""Whether a route out matches less than it did, whatever a request holds and whichever signals are there. Pure.

It says yes only where it is sure: of conjunctions without CEL, that read all the signals that were read before.
"""

from __future__ import annotations

from dataclasses import replace

from policies.comparing.extents import covers, extents, has_any
from policies.types import Rule


def is_narrower(was: Rule, now: Rule) -> bool:
    """Two forms of one rule that differ in `when` alone, the later of which holds only where the earlier one did.

    A signal that is not there makes a conjunction false or unknown, and neither sends out: so with each of the earlier
    one's signals read, nothing holds for want of one that would not have held before.
    """
    if replace(was, when=now.when) != now or now.cel is not None or not set(was.reads) <= set(now.reads):
        return False
    return not (has_any(was.when) or has_any(now.when)) and covers(extents(was.when), extents(now.when))
