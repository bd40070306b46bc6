"""Pictures a second that one command reads, sends, receives, writes and records: ``python -m tests.bench farm``.

The run is the real one, with workers that only sleep. Workers are the threads of a Dask worker in another process,
or threads of this process for comparison, to which nothing is sent.

CPU seconds are those of the command's threads, by what each does. A picture comes back as the array that was sent.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import cProfile
import dataclasses
import itertools
import os
import pstats
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import psutil

from pipeline.execution import worker
from pipeline.execution.dask_executor import DaskExecutor
from pipeline.execution.messages import BatchResult, ImageBatch, ImageResult, Notify, T, WorkerContext, WorkItem
from pipeline.execution.process import DeviceInfo, WorkerConfig
from pipeline.jobs import apply
from pipeline.jobs.events import Finished
from pipeline.vgg import weights
from stylebank import images
from stylebank.bank import Bank
from stylebank.style import Style
from tests.bench import timing
from tests.styles import style

ROOT = Path(__file__).parents[2]
SIZE = (512, 384)
_DISTINCT = 16
#: Seconds between two looks at memory and CPU time.
_INTERVAL = 0.5
#: Threads by the beginning of their name.
_STAGES = {
    "stylebank-read": "decode",
    "stylebank-write": "encode and record",
    "IO loop": "send and receive",
    "Dask-Offload": "send and receive",
    "MainThread": "plan, batches, events",
    "ThreadPoolExecutor": "examine",
    "farm": "sleeping workers",
}
_CLUSTER = """
import sys, time
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=1, threads_per_worker=int(sys.argv[1]), processes=False, host="127.0.0.1",
                           protocol="tcp://", dashboard_address="127.0.0.1:0", silence_logs="ERROR")
    print(cluster.scheduler_address, flush=True)
    sys.stdin.read()
"""


def sleeping_work(config: WorkerConfig, context: WorkerContext, batch: ImageBatch) -> BatchResult:
    """Return the subjects after the seconds that the style's name ends with."""
    time.sleep(float(context.styles[0].name.rsplit("-", 1)[1]) * len(batch.indices))
    machine = {"backend": "none", "device": "cpu", "precision": "float32"}
    results = {
        number: ImageResult(
            pixels=images.to_uint8(subject) if batch.eight_bit else subject, start_loss=1.0, final_loss=0.5, steps=40
        )
        for number, subject in zip(batch.indices, batch.subjects, strict=True)
    }
    return BatchResult(results, "farm", machine, 0.0, 0.5)


class ThreadExecutor:
    """Sleeping workers in threads of this process."""

    def __init__(self, threads: int) -> None:
        self.workers = threads

    def __enter__(self) -> ThreadExecutor:
        self._pool = concurrent.futures.ThreadPoolExecutor(self.workers, "farm")
        return self

    def __exit__(self, *_error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def run_once(self, function: Callable[[WorkerConfig], T]) -> T:
        return function(WorkerConfig(0))

    def map_unordered(self, items: Iterable[WorkItem], notify: Notify) -> Iterator[BatchResult]:
        source = iter(items)
        pending: set[Any] = set()
        while True:
            for context, batch in itertools.islice(source, 2 * self.workers - len(pending)):
                pending.add(self._pool.submit(sleeping_work, WorkerConfig(0), context, batch))
            if not pending:
                return
            finished, pending = concurrent.futures.wait(pending, return_when=concurrent.futures.FIRST_COMPLETED)
            while finished:
                yield finished.pop().result()


class Sampler(threading.Thread):
    """Memory, and CPU seconds by stage, while a run computes."""

    def __init__(self) -> None:
        super().__init__(name="sampler", daemon=True)
        self.finished: Callable[[], int] = lambda: 0
        self.memory: list[tuple[int, int]] = []  # pictures, bytes
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._names: dict[int, str] = {}
        self._cpu: dict[int, float] = {}

    def run(self) -> None:
        while not self._ended.wait(_INTERVAL):
            self.sample()

    def sample(self) -> None:
        self.memory.append((self.finished(), self._process.memory_info().rss))
        self._names.update({t.native_id: t.name for t in threading.enumerate() if t.native_id is not None})
        self._cpu.update({t.id: t.user_time + t.system_time for t in self._process.threads()})

    def stop(self) -> None:
        self.sample()
        self._ended.set()
        self.join()

    def seconds_by_stage(self) -> dict[str, float]:
        """CPU seconds since the process began."""
        stages: dict[str, float] = defaultdict(float)
        for thread, seconds in self._cpu.items():
            name = self._names.get(thread, "")
            stage = next((stage for start, stage in _STAGES.items() if name.startswith(start)), "other")
            stages[stage] += seconds
        return dict(stages)


@contextlib.contextmanager
def cluster(threads: int) -> Iterator[str]:
    """Start a Dask cluster of threads in a process of its own; yield its address."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", _CLUSTER, str(threads)]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        assert process.stdout is not None and process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()
            process.kill()


def subjects(folder: Path, count: int) -> Path:
    """Write photographs of noise over a gradient, which compress as photographs do."""
    folder.mkdir()
    random = np.random.default_rng(0)
    gradient = np.linspace(0, 200, SIZE[0])[None, :, None] + np.linspace(0, 40, SIZE[1])[:, None, None]
    data = []
    for number in range(min(_DISTINCT, count)):
        pixels = np.clip(gradient + random.normal(0, 8, (SIZE[1], SIZE[0], 3)), 0, 255).astype(np.float32)
        images.save(folder / f"distinct{number}.jpg", pixels, format="jpg", quality=90)
        data.append((folder / f"distinct{number}.jpg").read_bytes())
        (folder / f"distinct{number}.jpg").unlink()
    for number in range(count):
        (folder / f"{number:06}.jpg").write_bytes(data[number % len(data)])
    return folder


def measure(executor: Any, folder: Path, pictures: int, seconds: float) -> dict[str, Any]:
    """Execute one run, and return its figures."""
    sha256 = weights.load().sha256
    bank = Bank(folder / "bank")
    sleeping = style(f"sleep-{seconds:g}")
    bank.add(_with_weights(sleeping, sha256))
    finished = [0]

    def count(event: object) -> None:
        finished[0] += isinstance(event, Finished)

    sampler = Sampler()
    sampler.finished = lambda: finished[0]
    before = os.times()
    began = time.perf_counter()
    options: dict[str, Any] = {"size": 512, "precision": "float32"}
    run = apply.prepare(bank, f"sleep-{seconds:g}", [folder / "in"], folder / "out", **options)
    planned = time.perf_counter() - began
    sampler.start()
    entries = apply.execute([run], executor, batch_size=1, listener=count)
    elapsed = time.perf_counter() - began
    sampler.stop()
    after = os.times()
    failures = [entry.error for entry in entries if entry.status != "done"]
    assert len(entries) == pictures and not failures, failures[:3]
    done, memory = np.array(sampler.memory).T
    steady = (done > pictures / 4) & (done < pictures)
    slope = float(np.polyfit(done[steady], memory[steady], 1)[0]) if steady.sum() > 2 else 0.0
    rate = pictures / (elapsed - planned)
    figures = {
        "pictures": pictures,
        "pictures per second": rate,
        "planning, s": planned,
        "CPU cores in use": (sum(after[:2]) - sum(before[:2])) / elapsed,
        "decode, ms of a thread": _mean_timing(entries, "decode"),
        "encode and record, ms of a thread": _mean_timing(entries, "encode"),
        "CPU, s": sampler.seconds_by_stage(),
        "peak memory, MB": float(memory.max()) / 1e6,
        "memory per 1000 pictures, MB": slope * 1000 / 1e6,
    }
    figures["limited by"] = limit(figures, elapsed, executor.workers / seconds if seconds else np.inf)
    return figures


def _mean_timing(entries: Iterable[Any], stage: str) -> float:
    """Milliseconds by the clock, with the time that a thread waits for the disk or for its turn."""
    return 1000 * float(np.mean([entry.timings[stage] for entry in entries if entry.timings]))


def _with_weights(sleeping: Style, sha256: str) -> Style:
    header = dataclasses.replace(
        sleeping.header, fingerprint=dataclasses.replace(sleeping.header.fingerprint, weights_sha256=sha256)
    )
    return dataclasses.replace(sleeping, header=header)


def limit(figures: dict[str, Any], elapsed: float, possible: float) -> str:
    """Name what a run waits for, by the busiest of its parts."""
    stage, seconds = max(figures["CPU, s"].items(), key=lambda pair: pair[1])
    if figures["pictures per second"] > 0.9 * possible:
        return f"the workers, which do {possible:.0f} pictures a second"
    if seconds > 0.8 * elapsed:
        return f"the thread of: {stage}"
    if figures["CPU cores in use"] > 0.9:
        return "one interpreter, whose threads take turns"
    return "the machine's other work, or waiting for the disk"


@click.command()
@click.option("--pictures", type=click.IntRange(1), default=5000, show_default=True, help="Number of pictures.")
@click.option("--threads", type=click.IntRange(1), default=64, show_default=True, help="Threads of the workers.")
@click.option("--seconds", type=float, default=0.5, show_default=True, help="Seconds that a picture takes.")
@click.option("--only", type=click.Choice(["cluster", "threads"]), help="Measure one kind of workers.")
@click.option("--profile", is_flag=True, help="Print the functions of the main thread that take most time.")
@timing.json_option
def main(pictures: int, threads: int, seconds: float, only: str | None, profile: bool, output: Path | None) -> None:
    """Measure how many pictures a second one command can hand to workers that only sleep."""
    worker.device_info = lambda config: DeviceInfo("none", "cpu")  # type: ignore[assignment]
    figures: dict[str, Any] = {}
    for kind in ("cluster", "threads") if only is None else (only,):
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            folder = Path(name)
            subjects(folder / "in", pictures)
            if kind == "cluster":
                executor: Any = DaskExecutor(stack.enter_context(cluster(threads)), 1)
                executor.work = sleeping_work
            else:
                executor = ThreadExecutor(threads)
            profiler = cProfile.Profile() if profile else None
            if profiler is not None:
                profiler.enable()
            figures[kind] = measure(executor, folder, pictures, seconds)
            if profiler is not None:
                profiler.disable()
                pstats.Stats(profiler).sort_stats("tottime").print_stats(20)
        show(kind, figures[kind])
    timing.write(output, figures)


def show(kind: str, figures: dict[str, Any]) -> None:
    """Print the figures of one kind of workers."""
    click.echo(f"\n{figures['pictures']:,} pictures of {SIZE[0]} x {SIZE[1]}, workers: {kind}")
    for name, value in figures.items():
        if name == "CPU, s":
            for stage, seconds in sorted(value.items(), key=lambda pair: -pair[1]):
                click.echo(
                    f"  CPU, {stage:<29}{seconds:8.1f} s {1000 * seconds / figures['pictures']:8.2f} ms a picture"
                )
        elif name != "pictures":
            click.echo(f"  {name:<34}" + (f"{value:8.1f}" if isinstance(value, float) else f" {value}"))


if __name__ == "__main__":
    main()
