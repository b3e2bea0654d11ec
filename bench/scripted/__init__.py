"""Scripted scenes: what no public video shows, from a small simulator, with labels that come from the script."""
