"""One module per command of ``argo``."""
