from __future__ import annotations

import pytest

from pipeline.jobs import events as progress


def test_time_left_goes_by_work_and_not_by_setting_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    clock = progress.EtaEstimator(total=40)
    assert clock.seconds_left() is None
    now[0] = 150  # setting up
    clock.start(current=1)
    assert clock.seconds_left(1) is None
    now[0] = 152
    assert clock.seconds_left(2) == pytest.approx(2 * 38)
    clock.finished(10)
    now[0] = 168
    assert clock.seconds_left() == pytest.approx(2 * 30)
    clock.finished(10, made=False)  # found to be no picture: neither work nor time
    assert clock.seconds_left() == pytest.approx(2 * 20)
