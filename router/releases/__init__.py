"""Held requests that somebody may let out once."""
