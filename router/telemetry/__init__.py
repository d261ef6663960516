"""What is counted, timed, logged and exported. Never content."""
