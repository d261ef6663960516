"""What of a policy counts on a given day. Pure: the day is told by who loads the policy, never read from a clock."""

from __future__ import annotations

from datetime import date


class Calendar:
    """One day, and the next one on which something expires. Without a day whatever expires is void, to be strict."""

    def __init__(self, today: date | None) -> None:
        self._today = today
        self.next_expiry: date | None = None

    def counts(self, expires: str | None) -> bool:
        """Whether what expires then still counts; remembers the next such day. What is no date does not count."""
        if expires is None:
            return True
        day = day_of(expires)
        if day is None or self._today is None or day <= self._today:
            return False
        if self.next_expiry is None or day < self.next_expiry:
            self.next_expiry = day
        return True


def day_of(text: str | None) -> date | None:
    """The date, or None for what is none (2027-02-30)."""
    try:
        return date.fromisoformat(text) if text is not None else None
    except ValueError:
        return None
