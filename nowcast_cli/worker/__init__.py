"""What runs inside a worker process: the way from the command line to the final message.

Light on purpose: a job costs little more than these imports.
"""
