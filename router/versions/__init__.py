"""The life of the policy in force: where it comes from, every version, and what may change it."""
