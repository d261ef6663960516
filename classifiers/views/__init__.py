"""Readings of a string: one family of disguises a file. They say where a text reads otherwise, never what it means."""
