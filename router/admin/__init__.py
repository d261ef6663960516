"""The admin API: what the commands do, through the same functions, on a listener of its own."""
