"""The gateway: wire formats, the straight line of one request, backends, egress, records."""
