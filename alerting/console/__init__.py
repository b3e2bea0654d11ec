"""The console: one page for the control room, and the HTTP API behind it."""
