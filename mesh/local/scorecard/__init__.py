"""How good rules are on labelled video: what happened, what was told, and how the two fit."""
