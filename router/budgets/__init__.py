"""Money for calls outside: reserved before a call, settled after it, shared by the workers of a host."""
