"""Files that a run writes: pictures, those on the way, animations, and what an interruption leaves of them."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.execution import worker
from pipeline.execution.executors import InProcessExecutor
from pipeline.execution.messages import BatchResult
from pipeline.execution.process import WorkerConfig
from pipeline.jobs import apply
from pipeline.jobs.apply import ImagesFailed
from stylebank import files, images
from stylebank.bank import Bank
from stylebank.errors import UsageError
from tests.fakes import Stylizer
from tests.jobs.test_apply import QUICK, digest


@pytest.mark.parametrize("info", ["before the rename", "after the rename", "in the animation"])
def test_an_interruption_around_the_save_costs_at_most_that_picture(
    bank: Bank, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str
) -> None:
    out, subject = tmp_path / "out", photographs / "rocket.jpg"
    out.mkdir()

    def stop(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        if info == "before the rename":
            patched.setattr(Path, "replace", stop)
        elif info == "after the rename":
            flush = files.flush_folder
            patched.setattr("stylebank.files.flush_folder", lambda path: stop() if path == out else flush(path))
        else:
            patched.setattr("stylebank.images.save_animation", stop)
        with pytest.raises(KeyboardInterrupt):
            animation = out / "way.gif" if info == "in the animation" else None
            pipeline.apply(bank, "wave", [subject], out, animation=animation, **QUICK)
    (entry,) = pipeline.apply(bank, "wave", [subject], out, **QUICK)
    assert entry.status == ("skipped" if info == "after the rename" else "done")
    assert entry.output_sha256 == digest(out / "rocket.wave.jpg")


def test_snapshots_and_an_animation(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    pipeline.apply(
        bank, "wave", [photographs / "rocket.jpg"], out, save_every=2, animation=out / "way.gif", size=64, steps=5
    )
    assert sorted(path.name for path in out.iterdir()) == [
        "rocket.wave.jpg",
        "rocket.wave.steps",
        "stylebank.jsonl",
        "stylebank.losses.jsonl",
        "way.gif",
    ]
    assert sorted(path.name for path in (out / "rocket.wave.steps").iterdir()) == ["0002.jpg", "0004.jpg"]
    with Image.open(out / "way.gif") as animation:
        assert animation.n_frames >= 5 and animation.size == Image.open(out / "rocket.wave.jpg").size
    settings = {"size": 64, "steps": 5}
    (entry,) = pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], out, animation=out / "way.gif", **settings)
    assert entry.status == "skipped"
    (entry,) = pipeline.apply(bank, "wave", [photographs / "rocket.jpg"], out, animation=out / "new.gif", **settings)
    assert entry.status == "done" and (out / "new.gif").exists()
    options = {"animation": out / "way.gif", **settings}
    with pytest.raises(ImagesFailed, match=r"way\.gif: exists already"):
        pipeline.apply(bank, "wave", [photographs / "chelsea.jpg"], out, on_existing="skip", **options)
    before = (out / "way.gif").read_bytes()
    for status in ("done", "skipped"):
        (entry,) = pipeline.apply(bank, "wave", [photographs / "chelsea.jpg"], out, **options)
        assert entry.status == status and (out / "way.gif").read_bytes() == before
    assert (out / "way-2.gif").exists() and not (out / "way-3.gif").exists()
    with pytest.raises(UsageError, match="no image found"):  # pictures, steps and animations are outputs
        pipeline.apply(bank, "wave", [out], out, recursive=True, **settings)
    with pytest.raises(UsageError, match="shows one subject, not 3"):
        pipeline.apply(bank, "wave", [photographs], out, animation=out / "all.gif", **QUICK)


def test_alpha_comes_back_where_the_format_holds_it(bank: Bank, photographs: Path, tmp_path: Path) -> None:
    pixels = images.load(photographs / "rocket.jpg").pixels
    alpha = np.zeros(pixels.shape[:2], np.uint8)
    alpha[:, : pixels.shape[1] // 2] = 255
    images.save(tmp_path / "cut.png", pixels, format="png", quality=90, alpha=alpha)
    pipeline.apply(bank, "wave", [tmp_path / "cut.png"], tmp_path / "out", format="png", size=0, steps=1)
    with Image.open(tmp_path / "out/cut.wave.png") as image:
        assert image.mode == "RGBA"
        np.testing.assert_array_equal(np.asarray(image.getchannel("A")), alpha)
    notes: list[str] = []
    pipeline.apply(
        bank,
        "wave",
        [tmp_path / "cut.png"],
        tmp_path / "out",
        size=0,
        steps=1,
        listener=lambda progress: notes.append(progress.text),
    )
    assert any("--format png" in note for note in notes)
    assert images.load(tmp_path / "out/cut.wave.jpg").pixels[:, -4:].min() > 240


class _Fractions(Stylizer):
    """Gives pixels between whole numbers."""

    def stylize(self, subject: images.Pixels, **options: Any) -> Any:
        result = super().stylize(subject, **options)
        return SimpleNamespace(**{**vars(result), "pixels": result.pixels * np.float32(0.731)})


class _Elsewhere:
    """A worker to which messages are sent."""

    workers = 1

    def __enter__(self) -> _Elsewhere:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def run_once(self, function: Callable[[WorkerConfig], Any]) -> Any:
        return function(WorkerConfig(os.getpid()))

    def map_unordered(self, items: Iterable[Any], notify: object) -> Iterator[BatchResult]:
        for context, batch in items:
            result = worker.work(WorkerConfig(os.getpid()), context, pickle.loads(pickle.dumps(batch)))
            self.sizes = [len(pickle.dumps(result))]
            yield pickle.loads(pickle.dumps(result))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize(("format", "depth"), [("jpg", 8), ("png", 8), ("png", 16), ("webp", 8), ("tiff", 8)])
def test_a_picture_from_elsewhere_has_the_bytes_of_one_from_here(
    bank: Bank, tmp_path: Path, stylizer: Callable[[Stylizer], Stylizer], format: str, depth: int, alpha: bool
) -> None:
    stylizer(_Fractions())
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (64, 96, 4 if alpha else 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    options: dict[str, Any] = {"size": 0, "steps": 2, "precision": "float32", "format": format, "depth": depth}
    digests = []
    for name, executor in (("here", InProcessExecutor()), ("there", _Elsewhere())):
        run = apply.prepare(bank, "wave", [tmp_path / "x.png"], tmp_path / name, **options)
        (entry,) = apply.execute([run], executor, batch_size=1)
        digests.append(entry.output_sha256)
    assert digests[0] is not None and digests[0] == digests[1]
    rounded = depth == 8 and not (alpha and format == "jpg")
    assert (executor.sizes[0] < 64 * 96 * 3 * 2) is rounded
