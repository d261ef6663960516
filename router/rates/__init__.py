"""How much may be asked for in a minute, and what one exchange takes of it."""
