"""What answers: the local engine, cloud upstreams, and the shipped scripted server."""
