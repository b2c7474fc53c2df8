"""The scheduler: when items are due, what is made up for, and asking the manager to launch.

It launches nothing itself; the manager does, once for each item and nominal time.
"""
