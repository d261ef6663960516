"""A policy file as text: read with its places, merged, laid out, edited."""
