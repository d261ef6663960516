"""How good a local answer is: what is kept of it, the calibrated number, the verdict."""
