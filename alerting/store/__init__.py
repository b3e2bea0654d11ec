"""Alerts, events, observations and coverage in PostgreSQL, which is the truth."""
