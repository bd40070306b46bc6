"""A Dask cluster that does not answer, or whose workers cannot compute."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.execution import worker
from pipeline.execution.dask_executor import DaskExecutor
from pipeline.execution.process import WorkerConfig
from stylebank.errors import StylebankError, UsageError


def test_a_scheduler_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.execution.dask_executor._SECONDS_TO_ANSWER", 1)
    with pytest.raises(UsageError, match="no scheduler answers"), DaskExecutor("tcp://127.0.0.1:9", 1):
        pass


def test_a_worker_without_the_package_is_one_line() -> None:
    class Client:
        def submit(self, *_arguments: Any, **_keywords: Any) -> Any:
            raise ModuleNotFoundError("No module named 'pipeline'")

    executor = DaskExecutor("tcp://10.0.0.1:8786", 1)
    executor._client, executor._config = Client(), WorkerConfig(0)
    with pytest.raises(StylebankError, match=r"No module named 'pipeline'.*each needs the same version of stylebank"):
        executor.run_once(worker.device_info)
