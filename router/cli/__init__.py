"""The command `gatehouse`, one command a file."""
