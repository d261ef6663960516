"""Compiled kernels in C: what is hot, beside the Python that says what they do. `classifiers.kernels` loads them.

A kernel takes lengths, trusts no terminator, and writes only into what it was given.
"""
