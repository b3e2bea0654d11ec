"""The pure core of the anonymizer: arrays in, arrays out, time as an argument."""
