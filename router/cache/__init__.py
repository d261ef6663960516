"""The response cache: sealed content at rest, exact keys, and a lookup that can only miss, never fail."""
