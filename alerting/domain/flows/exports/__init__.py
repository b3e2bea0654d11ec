"""Counts in the words of other systems. No picture, no stream and no address of one is in any of them."""
