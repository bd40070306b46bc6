"""Stylizers and workers without a network, for tests that are not about images."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pipeline.execution import process
from pipeline.execution.messages import BatchResult, ImageBatch, ImageResult, WorkerContext
from pipeline.execution.process import WorkerConfig
from pipeline.settings import SynthesisSettings
from stylebank.images import Pixels, fit, resize
from tests import styles


class OutOfMemory(Exception):
    """Has the name of the backend's error."""


@dataclass
class StepInfo:
    step: int
    steps: int
    progress: float
    loss: float
    pixels: Pixels
    picture: int = 0

    def render(self) -> Pixels:
        return self.pixels


class Stylizer:
    """Turns images into their negatives in `settings.steps` steps."""

    def __init__(self, settings: SynthesisSettings | None = None, seen: Callable[[Pixels], None] = lambda pixels: None):
        self.settings = settings or SynthesisSettings(size=0, steps=3)
        self.seen = seen
        self.precision = "float32"

    def stylize(
        self, subject: Pixels, *, init: Any = None, regions: Any = None, on_step: Any = lambda info: None
    ) -> Any:
        self.seen(subject)
        size = fit((subject.shape[1], subject.shape[0]), self.settings.size or max(subject.shape[:2]))
        subject = resize(subject, size)
        steps = self.settings.steps
        for step in range(1, steps + 1):
            on_step(StepInfo(step, steps, step / steps, 1 / step, subject))
        return SimpleNamespace(pixels=255 - subject, start_loss=1.0, final_loss=1 / steps, steps=steps)


class BatchStylizer(Stylizer):
    """Stylizes batches of at most `max_size` images, and raises for a subject of the value `bad`."""

    def __init__(self, max_size: int, bad: float | None = None) -> None:
        super().__init__()
        self.max_size = max_size
        self.bad = bad
        self.batches: list[int] = []

    def _check(self, subjects: list[Pixels]) -> None:
        self.batches.append(len(subjects))
        if len(subjects) > self.max_size:
            raise OutOfMemory("the device's memory is exhausted")
        if self.bad is not None and any((subject == self.bad).all() for subject in subjects):
            raise ValueError("a bad subject")

    def stylize(
        self, subject: Pixels, *, init: Any = None, regions: Any = None, on_step: Any = lambda info: None
    ) -> Any:
        self._check([subject])
        return super().stylize(subject, init=init, on_step=on_step)

    def stylize_batch(
        self, subjects: Any, *, inits: Any = None, regions: Any = None, on_step: Any = lambda info: None
    ) -> Any:
        self._check(list(subjects))
        results = []
        for picture, subject in enumerate(subjects):

            def report(info: StepInfo, picture: int = picture) -> None:
                info.picture = picture
                on_step(info)

            results.append(super().stylize(subject, on_step=report))
        return results


def context() -> WorkerContext:
    return WorkerContext("key", (styles.style(),), SynthesisSettings(), "ab" * 32)


def batches(values: list[float], size: int = 1) -> list[ImageBatch]:
    """Return batches of flat subjects, numbered from 1, with at most `size` in each."""
    subjects = [np.full((32, 32, 3), value, np.float32) for value in values]
    indices = range(1, len(subjects) + 1)
    return [
        ImageBatch(tuple(indices[start : start + size]), subjects[start : start + size])
        for start in range(0, len(subjects), size)
    ]


#: A subject of the first value kills its worker every time, one of the second value only the first time.
DEADLY, DEADLY_ONCE = 13.0, 14.0


def deadly_work(config: WorkerConfig, context: WorkerContext, batch: ImageBatch) -> BatchResult:
    """Return the subjects; some of them kill the process."""
    process.write_start_marker(config, batch)
    images = {}
    for number, subject in zip(batch.indices, batch.subjects, strict=True):
        value = float(subject[0, 0, 0])
        met = Path(os.environ["STYLEBANK_TEST_FOLDER"]) / f"met{number}"
        met.write_bytes(met.read_bytes() + b"." if met.exists() else b".")
        if value == DEADLY or (value == DEADLY_ONCE and met.stat().st_size == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        images[number] = ImageResult(pixels=subject, steps=len(context.styles[0].scales))
    return BatchResult(images, worker=str(os.getpid()))


def slow_work(config: WorkerConfig, context: WorkerContext, batch: ImageBatch) -> BatchResult:
    """Return a result without pixels after a tenth of a second."""
    time.sleep(0.1)
    return BatchResult({number: ImageResult(steps=1) for number in batch.indices}, worker=str(os.getpid()))


def broken_work(config: WorkerConfig, context: WorkerContext, batch: ImageBatch) -> BatchResult:
    """Raise an error that is not about one image."""
    raise OSError("no space left on the device")


def environment_work(config: WorkerConfig, context: WorkerContext, batch: ImageBatch) -> BatchResult:
    """Return the process and its threads, set up as a worker's; a subject of 1 raises."""
    process.init_process(config)
    if batch.subjects[0][0, 0, 0] == 1:
        raise OSError("no space left on the device")
    names = ("TF_NUM_INTRAOP_THREADS", "CUDA_VISIBLE_DEVICES", "KERAS_BACKEND")
    values = ",".join(f"{name}={os.environ.get(name)}" for name in names)
    return BatchResult({number: ImageResult(steps=1) for number in batch.indices}, worker=values)
