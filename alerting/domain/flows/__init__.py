"""Counts of people and vehicles: what is kept of them, what they are worth, and what may be published."""
