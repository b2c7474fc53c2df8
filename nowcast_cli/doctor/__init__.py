"""``nowcast doctor``: small checks of a system and of what it stands on, each with a remedy.

A check is a function that gives its findings, in a module named after what it looks at; its
docstring says what it means when it fails. ``examination.CHECKS`` lists them.
"""
