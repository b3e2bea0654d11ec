"""What alerting decides, without I/O: time and identities are arguments."""
