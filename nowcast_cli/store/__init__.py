"""The store: the only SQL of the system, the checklist file, and the values that both keep.

The manager writes through :class:`nowcast_cli.store.database.Store`; everybody else reads through
:class:`nowcast_cli.store.reader.Reader`. Nothing is imported here: readers start fast.
"""
