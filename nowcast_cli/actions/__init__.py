"""Action workers: the processes that call what the keys of actions are mapped to."""
