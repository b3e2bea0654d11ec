"""Fleets in and out: files, the made-up fleet of Turin, cameras that say themselves what they are."""
