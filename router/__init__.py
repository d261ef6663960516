"""The gateway: wire formats, the straight line of one request, backends, egress, records."""

__version__ = "0.1.0"  # as in pyproject.toml
