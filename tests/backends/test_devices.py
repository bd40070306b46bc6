from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from pipeline.backends import devices

GIB = 1 << 30


class NVMLError(Exception):
    """Named as NVML's."""


class FakeDriver:
    """A driver with GPUs of 8, 16 and 24 GiB, and a part of 5 GiB of the last one; a handle is its memory in GiB."""

    def __init__(self) -> None:
        self.users = 0
        self.uuids = {"GPU-aa11": 8, "GPU-bb22": 16, "GPU-cc33": 24}

    def open(self) -> None:
        self.users += 1

    def close(self) -> None:
        self.users -= 1

    def by_index(self, index: int) -> int:
        if index >= len(self.uuids):
            raise NVMLError("Invalid Argument")
        return list(self.uuids.values())[index]

    def by_uuid(self, uuid: str) -> int:
        if uuid != "MIG-dd44":
            raise NVMLError("Not Found")
        return 5

    def uuid(self, handle: int) -> str:
        return next(uuid for uuid, memory in self.uuids.items() if memory == handle)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    driver = FakeDriver()
    pynvml = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=driver.open,
        nvmlShutdown=driver.close,
        nvmlDeviceGetCount=lambda: len(driver.uuids),
        nvmlDeviceGetHandleByIndex=driver.by_index,
        nvmlDeviceGetHandleByUUID=driver.by_uuid,
        nvmlDeviceGetUUID=driver.uuid,
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=handle * GIB),
    )
    monkeypatch.setitem(sys.modules, "pynvml", pynvml)
    monkeypatch.setattr(devices, "device", lambda: "gpu")
    return driver


@pytest.mark.parametrize(
    ("visible", "name", "gib"),
    [
        (None, None, 8),
        (None, "gpu", 8),
        (None, "gpu:2", 24),
        ("2,1", None, 24),
        ("2,1", "gpu:1", 16),
        ("GPU-bb22", None, 16),
        ("GPU-aa11, GPU-c", "gpu:1", 24),
        ("MIG-dd44", None, 5),
    ],
)
def test_memory_is_that_of_the_device_in_use(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, visible: str | None, name: str | None, gib: int
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.device_bytes(name) == gib * GIB
    assert driver.users == 0, "the driver stays open"


@pytest.mark.parametrize("visible", ["1,7", "0,GPU-ee55", "0"])
def test_memory_of_a_device_that_the_driver_does_not_know_is_assumed(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, visible: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.device_bytes("gpu:1") == 4 * GIB
    assert driver.users == 0


def test_memory_is_assumed_without_the_library_or_the_driver(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_driver() -> None:
        raise NVMLError("Driver Not Loaded")

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(sys.modules["pynvml"], "nvmlInit", no_driver)
    assert devices.device_bytes() == 4 * GIB
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert devices.device_bytes() == 4 * GIB


def test_a_cpu_has_no_device_memory(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.device_bytes("cpu") is None
    monkeypatch.setattr(devices, "device", lambda: "cpu")
    assert devices.device_bytes() is None


def test_an_explicit_precision_is_used() -> None:
    assert devices.resolve_precision("float32") == "float32"
    assert devices.resolve_precision("bfloat16") == "bfloat16"


@pytest.mark.parametrize(("seconds", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (8.0, "float32")])
def test_bfloat16_must_be_clearly_faster(monkeypatch: pytest.MonkeyPatch, seconds: float, chosen: str) -> None:
    monkeypatch.setattr(devices, "_convolution_seconds", lambda kind: {"float32": 1.0, "bfloat16": seconds}[kind])
    assert devices._fastest_precision.__wrapped__(None) == chosen


def test_auto_measures_once_per_process() -> None:
    devices._fastest_precision.cache_clear()
    chosen = devices.resolve_precision("auto")
    assert chosen in {"float32", "bfloat16"}
    assert devices.resolve_precision("auto") == chosen
    assert devices._fastest_precision.cache_info().hits == 1


def test_the_timed_convolution_is_the_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With unknown kernel channels Keras compiles a convolution with XLA, which is several times slower in bfloat16."""
    from pipeline.backends.devices import ops

    known = []

    def conv(x: object, kernel: object, **how: object) -> object:
        known.append(kernel.shape[-2] == x.shape[-1] is not None)  # type: ignore[attr-defined]
        return kept(x, kernel, **how)

    kept = ops.conv
    monkeypatch.setattr(ops, "conv", conv)
    devices._convolution_seconds("float32")
    assert known and all(known)
