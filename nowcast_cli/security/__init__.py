"""The room of keys: who may connect to the ports of a system, and what each may do there.

A key is a CURVE pair. Its secret lies in ``<state>/keys/<name>.key``, for its owner alone; the
list of public keys, with the role of each, in ``<state>/keys/authorized.json``. Only commands
write there; the broker follows the list, and who connects reads its key at each connection, so
neither has to be restarted for a change.
"""
