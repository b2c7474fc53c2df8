"""The manager: takes messages in, decides what follows, and is the only writer of the store.

``state``, ``transitions``, ``job_transitions``, ``barriers`` and ``requests`` are pure; ``inbox``,
``deciders``, ``job_watch`` and ``loop`` touch the world.
"""
