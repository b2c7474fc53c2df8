"""The logs of a system: finding lines in its files, and following them as they are written."""
