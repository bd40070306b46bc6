"""One picture in memory: a PIL image, an array or a file in, a PIL image or an array out."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylebank import images
from stylebank.bank import Bank
from stylebank.bank.single import SingleStyle
from stylebank.errors import UsageError, printable
from stylebank.style import Style

from ..execution import worker
from ..execution.executors import InProcessExecutor, make_executor
from ..execution.messages import BatchResult, ImageBatch, WorkerSetupError
from ..print_sizes import overridden
from ..settings import SynthesisSettings, synthesis_settings
from .apply import ImagesFailed
from .events import EtaEstimator, Finished, Listener, Notice, Started, Stepped, logged
from .mask_files import MaskFiles
from .mask_images import MaskImages
from .outdated_styles import outdated_styles
from .plan import Plan, Task
from .precision import settle_precision
from .presets import Preset, find
from .prints import on_paper
from .progress_bar import progress_bar
from .record import Entry
from .resume import failed, new_entry
from .run import Run
from .runner import CallbackError
from .style_spec import StyleSpec, parse

AnyImage = Image.Image | npt.NDArray[Any] | str | os.PathLike[str]


def stylize(
    image: AnyImage,
    style: str | Sequence[str] | Style,
    *,
    bank: Bank | str | os.PathLike[str] | None = None,
    preset: str | None = None,
    mask: AnyImage | Sequence[str | os.PathLike[str]] | Mapping[str, AnyImage] = (),
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    max_pixels: int | None = None,
    device: str | None = None,
    deterministic: bool = False,
    listener: Listener = lambda progress: None,
    progress: bool | str = False,
    as_array: bool = False,
    **settings: Any,
) -> Image.Image | npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Stylize one image in memory; the pixels are those of the PNG that `apply` writes for it.

    The styles of the last calls stay in memory, so that another image of the same size begins at once.

    Parameters
    ----------
    image : PIL.Image.Image, ndarray, or path
        An image of any mode: its profile is converted to sRGB, the orientation of its EXIF is applied, and its
        transparency is kept. Or an array in sRGB of shape (h, w), (h, w, 3) or (h, w, 4), the fourth channel being
        the opacity: uint8 from 0 to 255, uint16 from 0 to 65535, or floats from 0 to 1. Or the path of a file.
    style : str, sequence of str, or Style
        A name in the bank, several as for `apply`, or a style itself, which needs no bank.
    bank : Bank or path, optional
        ``Bank()`` by default.
    preset
        As for `apply`: built in, or of the user. What it says about files does not count.
    mask
        As for `apply`; or a PIL image, an array, also of bool, or a mapping of those by region.
    weights, allow_unknown_weights, max_pixels, device, deterministic
        As for `apply`.
    listener
        Called with `Progress`. The entry of `Finished` has no output.
    progress : bool or "auto"
        Show a progress bar, as for `progress_bar`.
    as_array
        Return an array of shape (h, w, 3), or (h, w, 4) for a transparent image: uint8, or uint16 with ``depth=16``.
    **settings
        Fields of `SynthesisSettings` but ``format`` and ``quality``, which are those of files.

    Returns
    -------
    PIL.Image.Image or ndarray
        In sRGB: RGB, or RGBA for a transparent image. `Image.info` of the former has profile, EXIF, XMP and density.

    Raises
    ------
    ImageRefused
        If the image cannot be read, or has values out of range.
    UsageError
        If the request is wrong, such as an array of another shape, an unknown style or a setting out of range.
    ImagesFailed
        If the synthesis fails.
    StylebankError
        If styles or weights cannot be read.
    """
    for name in ("format", "quality"):
        if settings.get(name) is not None:
            raise UsageError(f"{name} {settings[name]!r}: of files, and no file is written. Leave it out.")
    library = bank if isinstance(bank, Bank) else Bank(bank)
    preset_found = find(library, preset)
    values = dict(preset_found.values)
    mask = values.pop("mask", ()) if isinstance(mask, tuple) and not mask else mask
    weights = weights or values.pop("weights", None)
    allow_unknown_weights = allow_unknown_weights or values.pop("allow_unknown_weights", False)
    max_pixels = max_pixels or values.pop("max_pixels", images.MAX_PIXELS)
    chosen = _settings(preset_found, values, settings, as_array)
    subject = _subject(image)
    styles: Bank | SingleStyle = SingleStyle(style) if isinstance(style, Style) else library
    names = [style.name] if isinstance(style, Style) else [style] if isinstance(style, str) else list(style)
    spec, masks = _masks(names, mask, styles, max_pixels)
    planned = Plan(Path(os.devnull), (Task(subject, subject),), "png", ())
    run = Run(styles, spec, planned, chosen, max_pixels, None, True, masks)
    run.check_style(preset_found.base, weights, allow_unknown_weights)
    if preset_found.path is not None:
        run.remarks.append(f"preset {preset_found.name}: {printable(preset_found.path)}")
    executor = make_executor(device=device, deterministic=deterministic)
    assert isinstance(executor, InProcessExecutor)
    whole = images.to_picture(image, max_pixels=max_pixels, metadata=chosen.metadata)
    with progress_bar(progress) as bar:

        def send(event: Any) -> None:
            listener(event)
            bar(event)

        picture, pixels = _Computation(run, executor, logged(send)).compute(whole)
    pixels, alpha = on_paper(pixels, picture, chosen)
    if as_array:
        return images.to_values(pixels, alpha, chosen.depth)
    return images.to_pillow(pixels, alpha, picture.metadata, chosen.dpi)


def _settings(
    preset: Preset, values: Mapping[str, Any], settings: Mapping[str, Any], as_array: bool
) -> SynthesisSettings:
    """Return the settings, over those of a preset that say nothing about files."""
    fields = {field.name for field in dataclasses.fields(SynthesisSettings)}
    of_preset = {key: value for key, value in values.items() if key in fields}
    if not as_array:
        of_preset.pop("depth", None)
    given = {key: value for key, value in settings.items() if value is not None}
    chosen = synthesis_settings(preset.base, **overridden(of_preset, {**given, "format": "png"}))
    if chosen.depth > 8 and not as_array:
        raise UsageError(f"depth {chosen.depth}: a PIL image has 8 bits per channel. Add as_array=True.")
    return chosen


def _subject(image: Any) -> Path:
    """Return the path or the name of an image, for events and messages."""
    path = image if isinstance(image, str | os.PathLike) else getattr(image, "filename", "")
    return Path(os.fspath(path) or images.LABEL)


def _masks(names: Sequence[str], mask: Any, bank: Bank | SingleStyle, max_pixels: int) -> tuple[StyleSpec, MaskFiles]:
    """Return the regions and their masks: texts as for `apply`, an image or an array, or a mapping by region."""
    texts = [mask] if isinstance(mask, str | os.PathLike) else mask
    if isinstance(texts, list | tuple) and all(isinstance(text, str | os.PathLike) for text in texts):
        spec = parse(names, [os.fspath(text) for text in texts], exists=bank.__contains__)
        return spec, MaskFiles(spec, max_pixels)
    sources = dict(mask) if isinstance(mask, Mapping) else {"": mask}
    spec = parse(names, [f"{name}=mask" if name else "mask" for name in sources], exists=bank.__contains__)
    unknown = set(sources) - {region.name for region in spec.regions}
    if unknown:
        raise UsageError(
            f"mask of region {printable(min(unknown))}: no style has it. Give {min(unknown)}=NAME as style."
        )
    return spec, MaskImages(spec, sources, max_pixels)


class _Computation:
    """The synthesis of one picture in this process, with its events."""

    def __init__(self, run: Run, executor: InProcessExecutor, listener: Listener) -> None:
        self._run, self._executor, self._listener = run, executor, listener
        (self._task,) = run.planned.tasks
        self._facts: dict[str, Any] = {"subject": self._task.subject, "number": 1, "total": 1}
        self._eta = EtaEstimator(1.0)

    def compute(self, whole: images.Picture) -> tuple[images.Picture, images.Pixels]:
        """Return the picture at the size of the result, and the pixels of the result."""
        run, began = self._run, time.perf_counter()
        picture = run.fitted(whole)
        regions, recorded = run.regions_of(self._task, whole.size, run.size_of(whole.size))
        of_picture = [f"{printable(self._task.subject)}: {note}" for note in picture.notes]
        for note in filter(None, [*run.notes(), outdated_styles([run]), *of_picture]):
            self._listener(Notice(text=note))
        for note in run.mask_files.take_notes(self._task.subject):
            self._listener(Notice(text=note, **self._facts))
        self._listener(Started(**self._facts))
        settle_precision(
            [run],
            self._executor.run_once(worker.device_info),
            lambda: self._executor.run_once(worker.benchmark_precision),
        )
        self._executor.on_ready = lambda machine: self._listener(
            Notice(text=run.describe_device(machine), verbose=True)
        )
        self._executor.on_step = self._on_step
        batch = ImageBatch((1,), [picture.pixels], None, [regions])
        try:
            (result,) = self._executor.map_unordered([(run.context(remote=False), batch)], lambda text: None)
        except CallbackError as stop:
            raise stop.error from None
        entry = self._entry(result, recorded, time.perf_counter() - began)
        self._listener(Finished(entry=entry, **self._facts))
        if entry.status == "failed":
            raise ImagesFailed([entry])
        return picture, np.asarray(result.results[1].pixels, np.float32)

    def _on_step(self, number: int, info: Any) -> None:
        try:
            self._eta.start(info.progress)
            left = self._eta.seconds_left(info.progress)
            self._listener(Stepped(step=info.step, steps=info.steps, loss=info.loss, seconds_left=left, **self._facts))
        except Exception as error:  # the loop over batch sizes would take it for a failure of the picture
            raise CallbackError(error) from error

    def _entry(self, result: BatchResult, recorded: Mapping[str, Any], seconds: float) -> Entry:
        if result.setup_error is not None:
            raise WorkerSetupError(*result.setup_error)
        image, entry = result.results[1], new_entry(self._run, self._task)
        entry = dataclasses.replace(
            entry, output="", settings={**entry.settings, **recorded}, seconds=round(seconds, 3), **result.machine
        )
        if image.error or image.pixels is None:
            return failed(self._task, entry, image.error)
        return dataclasses.replace(
            entry,
            status="done",
            height=image.pixels.shape[0],
            width=image.pixels.shape[1],
            start_loss=image.start_loss,
            final_loss=image.final_loss,
            steps=image.steps,
            losses=image.losses or None,
        )
