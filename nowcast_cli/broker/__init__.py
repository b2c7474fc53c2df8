"""The message broker: every port that is bound, and no decision.

``python -m nowcast_cli.broker CONFIG`` runs it; :mod:`nowcast_cli.broker.broker` is its loop and
:mod:`nowcast_cli.broker.request_queue` the device between workers and manager.
"""
