"""The demonstration: cameras, their records, what becomes of their pictures, and the report."""
