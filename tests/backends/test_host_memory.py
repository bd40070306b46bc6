from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.backends.host_memory import free_memory, shared_by, sharing_processes

GB = 1_000_000_000


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  24000000 kB\nMemFree: 1 kB\nMemAvailable:   20000000 kB\n"}


def test_free_memory_is_mem_available(tmp_path: Path) -> None:
    assert free_memory(_write(tmp_path, MEMINFO)) == 20_480_000_000
    assert free_memory(tmp_path / "elsewhere") is None


@pytest.mark.parametrize("path", ["/jobs/one", "/"])
def test_a_containers_limit_counts_in_version_2(tmp_path: Path, path: str) -> None:
    """The limit may belong to the group or to one above it. Inactive file pages count as free."""
    limit = {
        "memory.max": "6000000000\n",
        "memory.current": "2500000000\n",
        "memory.stat": "anon 1\ninactive_file 500000000\n",
    }
    _write(tmp_path, {**MEMINFO, "proc/self/cgroup": f"0::{path}\n"})
    _write(tmp_path / "sys/fs/cgroup", limit if path == "/" else {f"jobs/{name}": text for name, text in limit.items()})
    _write(tmp_path / "sys/fs/cgroup/jobs/one", {"memory.max": "max\n", "memory.current": "1\n", "memory.stat": ""})
    assert free_memory(tmp_path) == 4 * GB


def test_a_containers_limit_counts_in_version_1(tmp_path: Path) -> None:
    """The path may be the host's, of which the container sees the top group alone."""
    _write(tmp_path, {**MEMINFO, "proc/self/cgroup": "9:cpuset:/\n4:memory:/docker/0123\n0::/\n"})
    _write(
        tmp_path / "sys/fs/cgroup/memory",
        {
            "memory.limit_in_bytes": "3000000000\n",
            "memory.usage_in_bytes": "1000000000\n",
            "memory.stat": "total_inactive_file 200000000\n",
        },
    )
    assert free_memory(tmp_path) == 2_200_000_000


def test_a_group_without_a_limit_limits_nothing(tmp_path: Path) -> None:
    _write(tmp_path, {**MEMINFO, "proc/self/cgroup": "4:memory:/a\n"})
    _write(
        tmp_path / "sys/fs/cgroup/memory/a",
        {"memory.limit_in_bytes": f"{2**63 - 4096}", "memory.usage_in_bytes": "1", "memory.stat": ""},
    )
    assert free_memory(tmp_path) == 20_480_000_000


@pytest.mark.parametrize(("processes", "free"), [(1, 20_480_000_000), (2, 10_240_000_000), (8, 2_560_000_000)])
def test_processes_of_a_run_share_the_free_memory(tmp_path: Path, processes: int, free: int) -> None:
    root = _write(tmp_path, MEMINFO)
    with shared_by(processes):
        assert sharing_processes() == processes
        assert free_memory(root) == free
        assert free_memory(tmp_path / "elsewhere") is None
    assert sharing_processes() == 1 and free_memory(root) == 20_480_000_000
