"""The kill switch: its state, the hosts that share it, and the calls that it cuts."""
