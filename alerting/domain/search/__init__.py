"""Matches to a testimony: what was asked for, how well an observation fits, and why. Nothing here knows a person."""
