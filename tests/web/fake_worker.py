"""``python -m tests.web.fake_worker`` computes negatives in place of pictures, slowly if asked, without Keras."""

from __future__ import annotations

import functools
import os
import signal
import time
from typing import Any

from pipeline.execution import worker
from pipeline.execution.process import DeviceInfo
from pipeline.web.worker import main
from tests import fake_cli
from tests.fakes import Stylizer


class SlowStylizer(Stylizer):
    """Waits in each of many steps; a seed is milliseconds, but 13 kills the process, and 14 hangs it."""

    def stylize(self, subject: Any, *, init: Any = None, regions: Any = None, on_step: Any = lambda info: None) -> Any:
        def on_slow_step(info: Any) -> None:
            if self.settings.seed == 13:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1000 if self.settings.seed == 14 else self.settings.seed / 1000 or 0.03 * (info.steps >= 1000))
            on_step(info)

        return super().stylize(subject, init=init, regions=regions, on_step=on_slow_step)


if __name__ == "__main__":
    fake_cli.install()
    worker.device_info = lambda config: DeviceInfo("none", "cpu")
    worker.benchmark_precision = lambda config: "float32"
    worker._make_stylizer = functools.lru_cache(lambda context: SlowStylizer(context.settings))
    main()
