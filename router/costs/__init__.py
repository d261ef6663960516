"""What requests cost and save, and the energy of local answers."""
