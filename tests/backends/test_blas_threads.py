"""OpenBLAS has one thread while stylebank computes, and the host program's number afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.linalg
from threadpoolctl import ThreadpoolController, threadpool_info

from pipeline.backends.blas_threads import single_blas_thread
from pipeline.backends.runtime import backend_settings


def openblas() -> list[int]:
    return [library["num_threads"] for library in threadpool_info() if library["internal_api"] == "openblas"]


@pytest.fixture(autouse=True)
def host_threads() -> Iterator[None]:
    scipy.linalg.svdvals(np.eye(2))  # loads SciPy's OpenBLAS
    with ThreadpoolController().select(internal_api="openblas").limit(limits=3):
        if set(openblas()) != {3}:
            pytest.skip("the OpenBLAS of NumPy cannot have three threads here")
        yield


def test_openblas_has_one_thread_within_the_context_and_the_hosts_number_after_it() -> None:
    with backend_settings():
        assert set(openblas()) == {1}
        with backend_settings():
            assert set(openblas()) == {1}
        assert set(openblas()) == {1}
    assert set(openblas()) == {3}


def test_the_hosts_number_returns_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), single_blas_thread():
        _ = 1 / 0
    assert set(openblas()) == {3}


def test_a_context_of_another_thread_that_ends_later_leaves_the_hosts_number() -> None:
    entered, leave = threading.Event(), threading.Event()

    def other() -> None:
        with backend_settings():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with backend_settings():
        thread.start()
        assert entered.wait(10)
    assert set(openblas()) == {3}
    leave.set()
    thread.join()
    assert set(openblas()) == {3}
