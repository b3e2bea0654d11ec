"""The gateway's decisions: pure code, with time, randomness and I/O as arguments."""
