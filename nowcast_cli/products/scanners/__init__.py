"""What reads files of a format: one module each, found by the entry points of the package."""
