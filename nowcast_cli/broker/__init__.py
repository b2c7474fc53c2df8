"""The message broker: every port that is bound, and no decision.

``python -m nowcast_cli.broker CONFIG`` runs it; :mod:`nowcast_cli.broker.broker` is its loop. Its
devices: :mod:`~nowcast_cli.broker.request_queue` between workers and manager, and on the
:mod:`~nowcast_cli.broker.bus` the :mod:`~nowcast_cli.broker.subject` for performers of actions and
the :mod:`~nowcast_cli.broker.integration_manager` for subscribers to events.
"""
