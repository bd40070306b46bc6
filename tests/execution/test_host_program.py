"""The host program is left as it was: environment, signals, warnings, joblib, Dask, and the backend's settings."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from pipeline.backends import devices, runtime
from pipeline.backends.runtime import backend_settings
from pipeline.execution.dask_executor import DaskExecutor
from pipeline.execution.executors import InProcessExecutor, single_device_visible
from pipeline.execution.process import WorkerConfig, device_variables, init_process
from pipeline.execution.process_executor import ProcessExecutor
from stylebank.errors import UsageError
from tests.fakes import batches, context, environment_work

ROOT = Path(__file__).parents[2]
EXECUTORS: dict[str, Callable[[], Any]] = {
    "this process": lambda: InProcessExecutor(device="cpu", deterministic=True),
    "processes": lambda: ProcessExecutor(2, device="cpu", deterministic=True),
    "cluster": lambda: DaskExecutor("local", 1, device="cpu", deterministic=True),
}


def state() -> dict[str, Any]:
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return {
        "environment": dict(os.environ),
        "signals": {number: signal.getsignal(number) for number in numbers},
        "warnings": list(warnings.filters),
        "start method": multiprocessing.get_start_method(allow_none=True),
        "backend": runtime._get_settings(),
    }


@pytest.mark.parametrize("kind", ["processes", "cluster"])
@pytest.mark.parametrize("values", [[5.0, 6.0], [5.0, 1.0, 6.0]], ids=["done", "raised"])
def test_workers_are_set_up_without_a_trace_in_this_process(kind: str, values: list[float]) -> None:
    before = state()
    executor = EXECUTORS[kind]()
    executor.work = environment_work
    style = context()
    workers: set[str] = set()
    try:
        with executor:
            workers |= {each.worker for each in executor.map_unordered(((style, b) for b in batches(values)), print)}
    except Exception as error:
        assert 1.0 in values and "no space left" in str(error)
    else:
        assert 1.0 not in values
        threads = os.environ.get("TF_NUM_INTRAOP_THREADS", (os.cpu_count() or 1) // executor.workers)
        assert workers == {f"TF_NUM_INTRAOP_THREADS={threads},CUDA_VISIBLE_DEVICES=,KERAS_BACKEND={runtime.NAME}"}
    assert state() == before


def test_joblibs_own_executor_goes_on() -> None:
    host = get_reusable_executor(max_workers=1, timeout=600)
    pid = host.submit(os.getpid).result()
    with ProcessExecutor(2) as executor:
        assert executor.run_once(_pid) not in {pid, os.getpid()}
    assert get_reusable_executor(max_workers=1, timeout=600) is host
    assert host.submit(os.getpid).result() == pid
    host.shutdown(wait=True, kill_workers=True)


def _pid(config: WorkerConfig) -> int:
    return os.getpid()


def test_the_process_of_the_run_is_never_initialised_as_a_worker() -> None:
    before = state()
    executor = InProcessExecutor(device="cpu")
    init_process(executor._config)
    with joblib.parallel_config(backend="threading"), ProcessExecutor(2, device="cpu") as pool:
        pool.work = environment_work
        list(pool.map_unordered(((context(), batch) for batch in batches([5.0])), print))
        assert pool.run_once(_pid) == os.getpid()
    assert {**state(), "start method": None} == {**before, "start method": None}  # joblib's threads settle it


@pytest.mark.parametrize("deterministic", [False, True])
def test_settings_of_the_backend_are_restored_also_after_an_error(deterministic: bool) -> None:
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_first")
    before = runtime._get_settings()
    try:
        with pytest.raises(ZeroDivisionError), devices.computing("cpu", deterministic=deterministic):
            assert keras.config.floatx() == "float32"
            assert bool(runtime._get_settings()["deterministic"]) is deterministic
            assert not np.any(runtime._get_settings()["tf32"])
            raise ZeroDivisionError
        assert runtime._get_settings() == before
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_image_data_format("channels_last")


def test_overlapping_contexts_restore_what_the_first_found() -> None:
    keras.config.set_floatx("float64")
    try:
        first, second = backend_settings(), backend_settings(deterministic=True)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        assert keras.config.floatx() == "float32"
        second.__exit__(None, None, None)
        assert keras.config.floatx() == "float64"
        assert not runtime._get_settings()["deterministic"]
    finally:
        keras.config.set_floatx("float32")


def test_the_device_in_use_decides_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "devices", lambda: ["gpu:0", "cpu"])
    assert devices.device() == "gpu" and devices.selected_device() is None
    with devices.device_scope("cpu"):
        assert devices.device() == "cpu" and devices.selected_device() == "cpu"
    assert devices.device() == "gpu"


@pytest.mark.parametrize(
    ("visible", "device", "expected"),
    [(None, "1", "1"), ("2,3", "1", "3"), ("GPU-aa, GPU-bb", "0", "GPU-aa"), ("5", "cpu", "")],
)
def test_gpus_are_numbered_among_the_visible_ones(
    monkeypatch: pytest.MonkeyPatch, visible: str | None, device: str, expected: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert device_variables(device)["CUDA_VISIBLE_DEVICES"] == expected


def test_a_gpu_that_is_not_visible_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    with pytest.raises(UsageError, match=r"GPU 1: CUDA_VISIBLE_DEVICES=4 shows 1 GPU. Give numbers from 0"):
        device_variables("1")


@pytest.mark.parametrize(
    ("options", "visible", "passed_on"),
    [
        ({"device": "cpu"}, "", {"device": "cpu"}),
        ({"device": "gpu:1"}, "3", {"device": "gpu", "devices": ()}),
        ({"devices": ("0",), "device": None}, "2", {"device": "gpu", "devices": ()}),
        ({"device": "gpu:1", "jobs": 2}, "2,3", {"device": "gpu:1", "jobs": 2}),
        ({"device": "gpu:1", "cluster": "tcp://a:1"}, "2,3", {"device": "gpu:1", "cluster": "tcp://a:1"}),
        ({"devices": ("0", "1")}, "2,3", {"devices": ("0", "1")}),
        ({"device": "tpu"}, "2,3", {"device": "tpu"}),
    ],
)
def test_a_command_shows_the_backend_the_device_that_computes(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], visible: str, passed_on: dict[str, Any]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    monkeypatch.delitem(sys.modules, "keras")
    before = dict(os.environ)
    with single_device_visible(options) as options_within:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == visible
        assert options_within == passed_on
    assert dict(os.environ) == before


CALLS = """
import os, signal, sys, warnings
import numpy
import pipeline
from stylebank.bank import Bank
import pipeline.jobs.apply, pipeline.ingest.add, pipeline.ingest.similar
def state():
    settings = {}
    if "keras" in sys.modules:
        import keras, tensorflow as tf
        tf32 = tf.config.experimental.tensor_float_32_execution_enabled()
        settings = keras.config.floatx(), tf32, tf.get_logger().level
    return dict(os.environ), [signal.getsignal(number) for number in (2, 15)], list(warnings.filters), settings
variables = {"HDF5_PLUGIN_PATH": "disable", **os.environ}  # TensorFlow sets it as it loads
bank, out = Bank(sys.argv[1]), sys.argv[3]
options = dict(size=64, steps=1, device="cpu", deterministic=True, precision="float32")
(entry,) = pipeline.apply(bank, "wave", [sys.argv[2]], out, **options)
assert entry.status == "done", entry
changed = dict(variables.items() ^ os.environ.items())
assert not changed, changed
import tensorflow as tf
from tensorflow.python.framework import config
assert tf.config.experimental.tensor_float_32_execution_enabled()
assert not config.is_op_determinism_enabled()
before = state()
class Stop(Exception): pass
def stop(progress):
    if isinstance(progress, pipeline.Stepped): raise Stop
try:
    pipeline.apply(bank, "wave", [sys.argv[2]], out, listener=stop, overwrite=True, **options)
except Stop:
    print("stopped")
assert state() == before
pipeline.similar(bank, sys.argv[2], scale=96)
assert state() == before
"""


def test_one_call_of_the_python_api_leaves_no_trace(bank_folder: Path, photographs: Path, tmp_path: Path) -> None:
    """The first call loads the backend, so that it runs in a process of its own."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "TF_", "HDF5_"))}
    variables["HDF5_PLUGIN_PRELOAD"] = "::"  # h5py reads it as it loads, for as long as the process lives
    ran = subprocess.run(
        [sys.executable, "-c", CALLS, str(bank_folder), str(photographs / "rocket.jpg"), str(tmp_path / "out")],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "stopped\n", ""), ran.stderr
