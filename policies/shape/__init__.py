"""The shape of a policy file: every key with its type, bounds and description."""
