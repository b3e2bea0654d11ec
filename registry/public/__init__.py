"""The public register: the part of the record that citizens have a right to, generated and never edited."""
