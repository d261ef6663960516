"""Facts in, decision out. Pure, except `store.py`."""
