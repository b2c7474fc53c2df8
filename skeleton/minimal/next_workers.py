"""What follows from each message: after_<worker>() returns a list of NextWorker."""


def after_clear_checklist(msg, config, checklist):
    return []


def after_rotate_logs(msg, config, checklist):
    return []


def after_housekeeping(msg, config, checklist):
    return []
