"""Leases that a full disk or a kill left torn."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.jobs.leases import FolderRuns, joined
from pipeline.jobs.run_files import FOLDER_NAME, LEASE
from stylebank.errors import OutputRefused

pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no disk that is always full")


def leases(folder: Path) -> list[Path]:
    return list((folder / FOLDER_NAME).glob(f"*{LEASE}"))


def test_a_full_disk_is_named_and_leaves_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fdopen = os.fdopen

    def full(descriptor: int, *_arguments: Any, **_options: Any) -> Any:
        os.close(descriptor)
        return fdopen(os.open("/dev/full", os.O_WRONLY), "w")

    with joined(tmp_path) as runs:
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdopen", full)
            with pytest.raises(OutputRefused, match=r"\.lease: The disk is full; free some space"):
                runs.claim(tmp_path / "a.png", "work")
        assert leases(tmp_path) == []
        assert runs.claim(tmp_path / "a.png", "work").granted


def test_a_torn_lease_is_void_unless_another_run_may_be_writing_it(tmp_path: Path) -> None:
    with joined(tmp_path) as runs:
        runs.claim(tmp_path / "a.png", "work")
        (lease,) = leases(tmp_path)
        lease.write_bytes(b"")
        second = FolderRuns(tmp_path)
        second.join()
        assert not second.claim(tmp_path / "a.png", "work").granted
        second.leave()
        assert runs.claim(tmp_path / "a.png", "work").granted
