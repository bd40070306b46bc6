"""One run over planned subjects: each made, found made, or failed with its reason, and recorded."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import stylebank
from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import FingerprintMismatch, OutputRefused, StylebankError, StyleDamaged, UsageError, printable
from stylebank.files import digest_file, make_folder
from stylebank.style import PIXELS, Header

from . import weights as weight_files
from .plan import Plan, Task, steps_folder
from .record import Entry, Record
from .settings import PRESET_FINGERPRINTS, SynthesisSettings

if TYPE_CHECKING:
    from .synthesis import Moment, Stylist

_ANIMATION_FRAMES = 48


@dataclass(frozen=True)
class Progress:
    """What a run tells while it goes on.

    Attributes
    ----------
    kind : {"note", "detail", "begin", "step", "end"}
        A remark; one for who wants to know more; a picture begun; an iteration done; a picture
        finished, skipped or failed.
    subject : Path or None
    number, total : int
        The picture's place among all, from 1.
    text : str
        Of a note or detail.
    step, steps : int
    loss : float
    seconds_left : float or None
        Of the whole run, once it can be told.
    entry : Entry or None
        The line in the record, at an end.
    """

    kind: str
    subject: Path | None = None
    number: int = 0
    total: int = 0
    text: str = ""
    step: int = 0
    steps: int = 0
    loss: float = 0.0
    seconds_left: float | None = None
    entry: Entry | None = None


Listener = Callable[[Progress], None]


class Run:
    """What the pictures of one call of `batch.apply` share: the style set up once, the record, the settings.

    Parameters
    ----------
    bank, style
        Where the style is, and its name.
    planned
        Subjects and outputs.
    settings
        How pictures are made.
    max_pixels
        Refuse subjects larger than this.
    save_every
        Keep a picture every so many steps.
    listener
        Called with `Progress`.
    """

    def __init__(
        self,
        bank: Bank,
        style: str,
        planned: Plan,
        settings: SynthesisSettings,
        max_pixels: int,
        save_every: int | None,
        listener: Listener,
    ) -> None:
        self.bank = bank
        self.header: Header = bank.header(style)
        self.planned = planned
        self.settings = settings
        self.max_pixels = max_pixels
        self.save_every = save_every
        self.listener = listener
        self.record = Record(planned.folder)
        self.earlier: dict[str, list[Entry]] = {}
        for entry in self.record.entries():
            if entry.status == "done":
                self.earlier.setdefault(entry.output, []).append(entry)
        self.animation: Path | None = None
        self.recorded = settings.recorded()
        self.init: images.Pixels | None = None
        if settings.init not in {"subject", "noise"}:
            if any(os.path.realpath(settings.init) == os.path.realpath(task.output) for task in planned.tasks):
                raise UsageError(f"{printable(settings.init)}: to begin with and to end with. Give another --output.")
            picture = images.load(settings.init, max_pixels=max_pixels)
            self.init = images.over_white(picture.pixels, picture.alpha)
            self.recorded["init_sha256"] = picture.sha256
        self._subjects = {os.path.realpath(task.subject) for task in planned.tasks}
        self._stylist: Stylist | None = None
        self._took: list[float] = []

    def check_style(self, preset: str | None, weights: str | Path | None, allow_unknown: bool) -> None:
        """Refuse a style that the settings or the preset do not fit; find its weights."""
        fingerprint = self.header.fingerprint
        if preset is not None:
            try:
                fingerprint.require(self.header.name, **PRESET_FINGERPRINTS[preset])
            except FingerprintMismatch as error:
                how = f"'stylebank add --preset {preset}' measures a painting so that it fits."
                raise FingerprintMismatch(f"{error} {how}") from error
        fingerprint.require(self.header.name, layers=self.settings.layers)
        self.weights = weight_files.matching(fingerprint.weights_sha256, weights, allow_unknown=allow_unknown)

    def check_animation(self, animation: str | os.PathLike[str] | None) -> None:
        """Refuse an animation that cannot be, before any work."""
        if animation is None:
            return
        path = Path(animation)
        if path.suffix.lower() not in images.ANIMATION_FORMATS:
            raise UsageError(f"{printable(path)}: an animation is a .gif or a .webp. Change the name.")
        if len(self.planned.tasks) > 1:
            raise UsageError(
                f"{printable(path)}: one animation cannot show {len(self.planned.tasks)} subjects. Give one subject."
            )
        task = self.planned.tasks[0]
        if os.path.realpath(path) in {os.path.realpath(task.subject), os.path.realpath(task.output)}:
            raise UsageError(f"{printable(path)}: is the subject or the output itself. Give another --animation.")
        make_folder(path.parent)
        self.animation = path

    def one(self, number: int, task: Task, overwrite: bool) -> Entry:
        """Make one picture, or find it made, or say why not; write its line."""
        began = time.perf_counter()
        self._tell("begin", number, task)
        entry = self._blank(task)
        try:
            picture = images.load(task.subject, max_pixels=self.max_pixels, metadata=self.settings.metadata)
            entry = dataclasses.replace(entry, subject_sha256=picture.sha256)
            for text in picture.notes:
                self._tell("note", number, task, text=f"{printable(task.subject)}: {text}")
            made = None if overwrite else self._made_already(task, entry)
            if made is None:
                if self.animation and self.animation.exists() and not overwrite:
                    raise OutputRefused(f"{printable(self.animation)}: exists already. Add --overwrite to replace it.")
                entry = self._make(number, task, picture, entry, began)
                self._took.append(time.perf_counter() - began)
            else:
                entry = dataclasses.replace(made, subject=entry.subject, status="skipped")
                self.record.append(entry)
        except StyleDamaged as error:  # the same for every picture that follows
            self.record.append(dataclasses.replace(entry, error=str(error)))
            raise
        except StylebankError as error:
            entry = self._failed(task, entry, str(error))
        except Exception as error:  # out of memory, or a fault of a library: this picture's alone
            reason = printable(str(error).strip().split("\n")[0]) or "no reason given"
            entry = self._failed(task, entry, f"{type(error).__name__}: {reason}. Try a smaller --size.")
        self._tell("end", number, task, entry=entry)
        return entry

    def _failed(self, task: Task, entry: Entry, reason: str) -> Entry:
        if printable(task.subject) not in reason and printable(task.output) not in reason:
            reason = f"{printable(task.subject)}: {reason}"
        entry = dataclasses.replace(entry, status="failed", error=reason)
        self.record.append(entry)
        return entry

    def _blank(self, task: Task) -> Entry:
        return Entry(
            subject=os.fspath(task.subject),
            subject_sha256=None,
            style=self.header.name,
            style_sha256=self.header.content_sha256,
            settings=self.recorded,
            output=os.path.relpath(task.output, self.planned.folder),
            output_sha256=None,
            width=None,
            height=None,
            status="failed",
            error=None,
            start_loss=None,
            final_loss=None,
            steps=None,
            seconds=None,
            backend="none",
            device="none",
            precision="none",
            version=stylebank.__version__,
        )

    def _machine(self) -> dict[str, Any]:
        from . import backend

        precision = self._stylist.precision if self._stylist is not None else "none"
        return {"backend": backend.NAME, "device": backend.device(), "precision": precision}

    def _made_already(self, task: Task, wanted: Entry) -> Entry | None:
        """Return the earlier entry if the output is provably this work's; that a file exists proves nothing."""
        if not os.path.lexists(task.output):
            return None
        for entry in reversed(self.earlier.get(wanted.output, ())):
            if entry.same_work(wanted):
                if task.output.is_file() and digest_file(task.output) == entry.output_sha256:
                    return None if self._wants_the_way(task) else entry
                break
        raise OutputRefused(
            f"{printable(task.output)}: exists already, and the record does not show it as this subject in this "
            "style with these settings. Add --overwrite to replace it, or give another --output."
        )

    def _wants_the_way(self, task: Task) -> bool:
        """Tell whether pictures on the way to a finished one are asked for and not there."""
        return bool(
            (self.animation and not self.animation.exists())
            or (self.save_every and not steps_folder(task.output).exists())
        )

    def _make(self, number: int, task: Task, picture: images.Picture, entry: Entry, began: float) -> Entry:
        make_folder(task.output.parent)
        frames: list[npt.NDArray[np.uint8]] = []
        stylist = self._ready()
        first: list[tuple[float, float]] = []

        def on_moment(moment: Moment) -> None:
            if self.save_every and moment.step % self.save_every == 0 and moment.step < moment.steps:
                make_folder(steps_folder(task.output))
                name = f"{moment.step:04d}{task.output.suffix}"
                self._save(steps_folder(task.output) / name, moment.pixels, picture)
            if self.animation and moment.step % max(1, moment.steps // _ANIMATION_FRAMES) == 0:
                frames.append(images.to_uint8(moment.pixels))
            now = time.perf_counter()
            first[:] = first or [(now, moment.share)]  # setting up is no measure of a step
            self._tell(
                "step",
                number,
                task,
                step=moment.step,
                steps=moment.steps,
                loss=moment.loss,
                seconds_left=self._left(number, now - first[0][0], moment.share - first[0][1], moment.share),
            )

        synthesis = stylist.stylise(picture.pixels, init=self.init, on_moment=on_moment)
        height, width = synthesis.pixels.shape[:2]
        if self.animation:
            shown = [images.to_uint8(picture.pixels), *frames, images.to_uint8(synthesis.pixels)]
            images.save_animation(self.animation, shown, (width, height))
        if picture.alpha is not None and not images.WRITE_FORMATS[self.settings.format][2]:
            text = f"{self.settings.format} holds no transparency; composited over white (--format png keeps it)"
            self._tell("note", number, task, text=f"{printable(task.output)}: {text}")
        done = dataclasses.replace(
            entry,
            width=width,
            height=height,
            status="done",
            start_loss=synthesis.start_loss,
            final_loss=synthesis.final_loss,
            steps=synthesis.steps,
            seconds=round(time.perf_counter() - began, 3),
            **self._machine(),
        )

        def promise(digest: str) -> None:
            # before the rename: a line without its picture is made good by the next run,
            # and a picture without its line would be nobody's
            self.record.append(dataclasses.replace(done, output_sha256=digest))

        digest = self._save(task.output, synthesis.pixels, picture, promise)
        return dataclasses.replace(done, output_sha256=digest)

    def _ready(self) -> Stylist:
        if self._stylist is None:
            from .synthesis import Stylist, scales_for

            scales = scales_for(list(self.header.sizes), self.settings)
            style = self.bank.get(self.header.name, scales=scales)
            if style.header.content_sha256 != self.header.content_sha256:
                raise StylebankError(f"style {self.header.name!r} was replaced meanwhile. Run this again.")
            self._stylist = Stylist(style, self.weights, self.settings)
            self.listener(Progress("detail", text=self._machine_in_words(list(style.scales))))
        return self._stylist

    def _machine_in_words(self, scales: list[int]) -> str:
        machine, fingerprint = self._machine(), self.header.fingerprint
        layers = len(set(self.settings.layers or fingerprint.layers) - {PIXELS})
        return (
            f"{machine['backend']} on {machine['device']}, {machine['precision']}; style {self.header.name} at "
            f"{', '.join(map(str, scales))} pixels, {fingerprint.pooling} pooling, {fingerprint.padding} padding, "
            f"{layers} layers, weights {fingerprint.weights_sha256[:12]}"
        )

    def _save(
        self,
        path: Path,
        pixels: images.Pixels,
        picture: images.Picture,
        before_rename: Callable[[str], None] = lambda sha256: None,
    ) -> str:
        if os.path.realpath(path) in self._subjects:  # a picture on the way, named like an original
            raise OutputRefused(f"{printable(path)}: is one of the subjects. Give another --output.")
        alpha = None
        if picture.alpha is not None:
            size = pixels.shape[1], pixels.shape[0]
            alpha = images.resize(picture.alpha[..., None].astype(np.float32), size)[..., 0]
        settings = self.settings
        return images.save(
            path,
            pixels,
            format=settings.format,
            quality=settings.quality,
            depth=settings.depth,
            alpha=alpha,
            metadata=picture.metadata,
            before_rename=before_rename,
        )

    def _left(self, number: int, elapsed: float, done: float, share: float) -> float | None:
        """Seconds left, from how long a share of this picture's work took and how long the others took."""
        if done <= 0:
            return None
        whole = elapsed / done
        each = sum(self._took) / len(self._took) if self._took else whole
        return whole * (1 - share) + each * (len(self.planned.tasks) - number)

    def _tell(self, kind: str, number: int, task: Task, **more: Any) -> None:
        self.listener(Progress(kind, task.subject, number, len(self.planned.tasks), **more))
