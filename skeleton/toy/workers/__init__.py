"""The workers of this system: one module a worker, of the same name."""
