"""Trained weights as data, each with a card. No code lives here."""
