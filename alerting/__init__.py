"""Events become alerts that a person handles; every look at them is on record."""
