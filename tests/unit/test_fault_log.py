"""Faults of others do not fill the log."""

from __future__ import annotations

import logging

import pytest

from nowcast_cli.broker.faults import FaultLog


def test_a_thousand_faults_in_a_second_are_one_line_and_the_next_says_how_many(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = [100.0]
    faults = FaultLog(logging.getLogger("broker"), clock=lambda: now[0])
    for _ in range(1000):
        faults.report("dropped a message")
    now[0] += 1.0
    faults.report("dropped another")
    now[0] += 1.0
    faults.report("and one more")
    assert caplog.messages == [
        "dropped a message",
        "dropped another (999 more faults before it were not logged)",
        "and one more",
    ]
