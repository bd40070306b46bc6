"""Execution of runs: decode subjects ahead and write outputs behind while an executor computes."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stylebank.errors import OutputRefused

from ..execution import batching, worker
from ..execution.executors import Executor, InProcessExecutor
from ..execution.messages import BatchResult, ImageBatch, WorkerContext, WorkerSetupError
from .decoder import Decoder, image_batch
from .events import EtaEstimator, Finished, Listener, Notice, Progress, Started, Stepped
from .existing import Difference, notice
from .notes import picture_notes
from .output_folders import OutputFolders
from .precision import settle_precision, with_auto_precision
from .prints import with_print_advice
from .record import Entry
from .resume import PendingImage, failed, find_pending
from .run import Run
from .writer import Writer

_RECORD_BATCH = 200
#: Batches that are decoded and wait for a worker: one per worker, up to this number.
_MAX_DECODED = 16


class FailFast(Exception):
    """An image failed, and the run stops at the first failure."""


class CallbackError(BaseException):
    """Wraps an error raised in a callback, so that per-image handlers do not swallow it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class Runner:
    """One execution of some runs.

    Parameters
    ----------
    runs
        Runs as `apply.prepare` returns them.
    executor
        An entered executor.
    batch_size
        Images of one size in a batch; None chooses it by the memory of the device.
    fail_fast
        Stop at the first image that fails.
    listener
        Called with `Progress`, in the thread of `execute`.
    """

    def __init__(
        self, runs: Sequence[Run], executor: Executor, *, batch_size: int | None, fail_fast: bool, listener: Listener
    ) -> None:
        self._runs = runs
        self._executor = executor
        self._batch_size = batch_size
        self._fail_fast = fail_fast
        self._listener = listener
        self._total = sum(len(run.planned.tasks) for run in runs)
        self._entries: dict[int, Entry] = {}
        self._in_flight: dict[int, PendingImage] = {}
        self._max_batch_pixels = float("inf")  # of one batch in the device's memory, once that is known
        self._device_bytes: int | None = None
        self._broken: Exception | None = None
        self._announced: set[int] = set()
        self._described: set[int] = set()
        self._eta = EtaEstimator(0)
        self._query_seconds = 0.0
        self._remote = not isinstance(executor, InProcessExecutor)

    def execute(self) -> list[Entry]:
        """Compute the pending images; return the lines of all images that were reached, in the order of the plan.

        Raises
        ------
        StylebankError
            For an error that stops the run: a damaged style, a record that cannot be written.
        """
        with contextlib.ExitStack() as stack:
            self._folders = stack.enter_context(OutputFolders(self._runs, self._note))
            self._writer = stack.enter_context(Writer(self._report_finished))
            self._decoders = stack.enter_context(Decoder())
            try:
                self._compute(self._find_pending())
                self._writer.drain(wait=True)
            except (FailFast, CallbackError, KeyboardInterrupt) as stop:
                if isinstance(stop, CallbackError) and not isinstance(stop.error, FailFast):
                    raise stop.error from None
                self._fail_fast = False
                self._writer.drain(wait=True)
                if isinstance(stop, KeyboardInterrupt):
                    raise
        return [self._entries[number] for number in sorted(self._entries)]

    def _find_pending(self) -> list[PendingImage]:
        """Report images that are complete, stay or fail; return the others.

        Raises
        ------
        OutputRefused
            If another picture has the name of an output, and the policy is ``fail``.
        """
        pending: list[PendingImage] = []
        settled: list[tuple[PendingImage, Entry]] = []
        differences: dict[str, list[Difference]] = {}
        for image, entry in find_pending(self._runs):
            if image.difference is not None and (entry is None or entry.error is not None):
                differences.setdefault(image.run.on_existing, []).append(image.difference)
            if entry is None:
                pending.append(image)
            else:
                settled.append((image, entry))
        for policy, existing in differences.items():
            message = notice(existing, policy)
            if policy == "fail":
                raise OutputRefused(message)
            self._note(message)
        for start in range(0, len(settled), _RECORD_BATCH):
            self._writer.record(settled[start : start + _RECORD_BATCH])
        self._writer.drain(wait=True)
        return pending

    def _compute(self, images: list[PendingImage]) -> None:
        if not images:
            return
        self._eta = EtaEstimator(sum(image.cost for image in images))
        if isinstance(self._executor, InProcessExecutor):
            self._executor.on_ready = self._on_ready
            self._executor.on_step = self._on_step
        else:
            self._eta.start()
        if self._batch_size is None or with_auto_precision(self._runs):
            began = time.perf_counter()
            machine = self._executor.run_once(worker.device_info)
            self._device_bytes = machine.gpu_bytes
            settle_precision(self._runs, machine, lambda: self._executor.run_once(worker.benchmark_precision))
            self._query_seconds = time.perf_counter() - began  # it includes loading the backend
        batch_results = self._executor.map_unordered(self._guarded(images), self._note)
        with contextlib.closing(batch_results):  # type: ignore[type-var]
            for batch_result in batch_results:
                self._handle(batch_result)
                self._writer.drain()
        if self._broken is not None:
            raise self._broken

    def _guarded(self, images: list[PendingImage]) -> Iterator[tuple[WorkerContext, ImageBatch]]:
        """Keep an error, such as a damaged style, for the thread of `execute`: joblib iterates in another thread."""
        try:
            yield from self._batches(images)
        except Exception as error:
            self._broken = error

    def _batches(self, images: list[PendingImage]) -> Iterator[tuple[WorkerContext, ImageBatch]]:
        """Yield batches of decoded images, decoding some ahead."""
        groups = batching.iter_batches(
            images, lambda image: (id(image.run), image.size), self._max_batch_size, self._executor.workers
        )
        last: Run | None = None
        claimed = self._folders.claimed(groups, self._settle)
        for group in self._decoders.ahead(claimed, min(self._executor.workers, _MAX_DECODED)):
            decoded: list[PendingImage] = []
            for image, future in group:
                failure = future.result()
                if failure is None:
                    decoded.append(image)
                else:
                    self._settle(image, failed(image.task, image.entry, failure.error))
            if not decoded:
                continue
            run = decoded[0].run
            if last is not None and last is not run:
                last.release()
            last = run
            context = run.context(remote=self._remote)
            while decoded:
                size = self._max_batch_size(decoded[0])  # memory may hold fewer than when the group was formed
                batch, decoded = decoded[:size], decoded[size:]
                self._in_flight.update((image.number, image) for image in batch)
                yield context, image_batch(batch, remote=self._remote)

    def _settle(self, image: PendingImage, entry: Entry) -> None:
        """Record an image that is not computed."""
        self._eta.finished(image.cost, counted=False)
        self._writer.record([(image, entry)])

    def _max_batch_size(self, image: PendingImage) -> int:
        """Return how many images like this one form a batch."""
        run = image.run
        settings = run.settings
        single = run.outputs.animation or run.save_every or run.style_spec.masked or settings.strength < 1
        if image.size is None or single or settings.proof is not None:
            return 1
        wanted = self._batch_size
        if wanted is None:
            wanted = batching.auto_batch_size(image.size, self._device_bytes, run.precision)
        return int(max(1, min(wanted, self._max_batch_pixels // (image.size[0] * image.size[1]))))

    def _handle(self, batch_result: BatchResult) -> None:
        """Pass the images of a worker on to the writer."""
        if batch_result.setup_error is not None:
            raise WorkerSetupError(*batch_result.setup_error)
        count = max(1, len(batch_result.results))
        for number, result in batch_result.results.items():
            image = self._in_flight.pop(number)
            self._announce(image)
            if batch_result.max_batch_size is not None and image.size is not None:
                self._max_batch_pixels = min(
                    self._max_batch_pixels, batch_result.max_batch_size * image.size[0] * image.size[1]
                )
            if batch_result.machine:
                self._on_ready(batch_result.machine, image.run)
            image.seconds.update(
                setup=batch_result.setup / count + self._query_seconds, compute=batch_result.compute / count
            )
            self._query_seconds = 0.0
            self._eta.finished(image.cost, counted=not result.error)
            if result.error:
                error = with_print_advice(result.error, image.size or (1, 1), image.run.settings)
                self._writer.record([(image, failed(image.task, image.entry, error))])
                image.picture = image.regions = None
                continue
            image.entry = dataclasses.replace(
                image.entry,
                start_loss=result.start_loss,
                final_loss=result.final_loss,
                steps=result.steps,
                losses=result.losses or None,
                worker=batch_result.worker or None,
                **batch_result.machine,
            )
            self._writer.write(image, result)
        self._writer.wait_for_room()

    def _report_finished(self, pairs: list[tuple[PendingImage, Entry]]) -> None:
        for image, entry in pairs:
            if image.number in self._entries:  # before a signal
                continue
            self._announce(image)
            self._entries[image.number] = entry
            self._folders.release(image)
            self._folders.count(image, entry)
            self._send(Finished, image, entry=entry, seconds_left=self._eta.seconds_left())
            if entry.status == "failed" and self._fail_fast:
                raise FailFast

    def _announce(self, image: PendingImage, together: int = 1) -> None:
        """Report the start of an image, and its notes, once."""
        if image.number in self._announced:
            return
        self._announced.add(image.number)
        self._send(Started, image, together=together)
        if image.picture is not None:
            for text in picture_notes(image, image.picture):
                self._send(Notice, image, text=text)

    def _on_ready(self, machine: Mapping[str, Any], run: Run | None = None) -> None:
        if run is None:
            run = next(iter(self._in_flight.values())).run
        if id(run) not in self._described:
            self._described.add(id(run))
            self._listener(Notice(text=run.describe_device(machine), verbose=True))

    def _on_step(self, number: int, info: Any) -> None:
        """Report an iteration in this process, and the images that were written meanwhile."""
        image = self._in_flight[number]
        assert image.picture is not None
        together = len(self._in_flight)
        current = image.cost * together * info.progress
        try:
            self._announce(image, together)
            self._eta.start(current)
            self._writer.drain()
            left = self._eta.seconds_left(current)
            facts = {"step": info.step, "steps": info.steps, "loss": info.loss, "seconds_left": left}
            self._send(Stepped, image, together=together, **facts)
        except Exception as error:
            raise CallbackError(error) from error
        image.run.outputs.on_step(image.task, image.picture, info)

    def _send(self, event: type[Progress], image: PendingImage, **values: Any) -> None:
        self._listener(event(subject=image.task.subject, number=image.number, total=self._total, **values))

    def _note(self, text: str) -> None:
        self._listener(Notice(text=text))
