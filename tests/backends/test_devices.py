from __future__ import annotations

import pytest

from pipeline.backends import devices


def test_what_is_asked_for_is_taken() -> None:
    assert devices.resolve_precision("float32") == "float32"
    assert devices.resolve_precision("bfloat16") == "bfloat16"


@pytest.mark.parametrize(("seconds", "chosen"), [(0.5, "bfloat16"), (0.95, "float32"), (8.0, "float32")])
def test_bfloat16_must_be_clearly_faster(monkeypatch: pytest.MonkeyPatch, seconds: float, chosen: str) -> None:
    monkeypatch.setattr(devices, "_convolution_seconds", lambda kind: {"float32": 1.0, "bfloat16": seconds}[kind])
    assert devices.resolve_precision.__wrapped__("auto") == chosen


def test_the_timing_runs_here_and_is_made_once() -> None:
    devices.resolve_precision.cache_clear()
    chosen = devices.resolve_precision("auto")
    assert chosen in {"float32", "bfloat16"}
    assert devices.resolve_precision("auto") == chosen
    assert devices.resolve_precision.cache_info().hits == 1


def test_what_is_timed_is_the_networks_own_convolution_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras has XLA compile a convolution whose kernel's channels are not known, several times as slow in bfloat16."""
    from pipeline.backends.devices import ops

    known = []

    def conv(x: object, kernel: object, **how: object) -> object:
        known.append(kernel.shape[-2] == x.shape[-1] is not None)  # type: ignore[attr-defined]
        return kept(x, kernel, **how)

    kept = ops.conv
    monkeypatch.setattr(ops, "conv", conv)
    devices._convolution_seconds("float32")
    assert known and all(known)
