"""The registry: the records of what a city may do with its cameras, and the leases that follow from them."""
