"""Pure rules of the registry: no I/O, no clock; time is an argument."""
