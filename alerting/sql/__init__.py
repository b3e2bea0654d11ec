"""Queries and migrations of the schema ``alerting``."""
