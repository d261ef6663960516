"""Placeholders on the way out, and their values on the way back."""
