"""Models that this host can run: which there are, where their files lie, whether a file is the right one."""
