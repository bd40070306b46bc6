"""Processes that share a machine: a device for each, and the cores divided among them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

INITIALIZE = """
import os, sys
from pipeline.execution import process
process.init_process(process.WorkerConfig(0, {threads}, {devices}, sys.argv[1], exclusive=True))
slot = process._process.slot
print(slot, os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("TF_NUM_INTRAOP_THREADS"), flush=True)
sys.stdin.read()
"""


def _initialized(folder: Path, threads: int | None, devices: tuple[str, ...]) -> subprocess.Popen[str]:
    program = INITIALIZE.format(threads=threads, devices=devices)
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    pipes["env"] = {name: value for name, value in os.environ.items() if name != "TF_NUM_INTRAOP_THREADS"}
    return subprocess.Popen([sys.executable, "-c", program, str(folder)], **pipes)


def test_each_process_takes_a_device_and_a_dead_one_frees_its_device(tmp_path: Path) -> None:
    def slot(process: subprocess.Popen[str]) -> list[str]:
        assert process.stdout is not None
        return process.stdout.readline().split()

    first, second = (_initialized(tmp_path, None, ("3", "5")) for _ in range(2))
    try:
        assert sorted([slot(first)[1], slot(second)[1]]) == ["3", "5"]
        second.kill()
        second.wait()
        third = _initialized(tmp_path, None, ("3", "5"))
        assert slot(third)[0] in {"0", "1"}
        third.kill()
        third.communicate()
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


def test_the_number_of_threads_is_set_before_tensorflow_loads(tmp_path: Path) -> None:
    process = _initialized(tmp_path, 2, ())
    output, _ = process.communicate("")
    assert output.split() == ["0", "None", "2"]
