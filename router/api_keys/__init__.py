"""API keys: their form, where they are kept, what may be ordered of them, and signed tokens in their place."""
