"""Operational files: the rules of the index, and what reads files."""
