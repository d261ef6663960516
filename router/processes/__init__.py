"""The processes of `gatehouse serve`: supervised children, the engine's, the wire between parent and workers."""
