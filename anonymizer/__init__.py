"""The anonymizer: frames and verdicts in, masked video out. It shows only what it knows to be empty street."""
