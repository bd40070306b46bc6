"""Photographs on the paper of a print: cropped to its shape before the synthesis, or put on white paper after it."""

from __future__ import annotations

import dataclasses
import math
import re

import numpy as np
import numpy.typing as npt

from stylebank import images
from stylebank.images import Pixels

from ..print_sizes import Layout, lay_out, parse
from ..settings import SynthesisSettings
from ..synthesis.memory import SIZE_ADVICE
from ..synthesis.proof import Box, tile_box

#: Fractions of the print's density, and of the photograph's area, below which a note says what is lost.
_ENLARGED, _CROPPED = 0.98, 0.97


def layout(subject_size: tuple[int, int], settings: SynthesisSettings) -> Layout | None:
    """Return how a subject of (width, height) lies on the paper; None without a print."""
    if settings.print is None or settings.dpi is None:
        return None
    return lay_out(subject_size, settings.print, settings.dpi, settings.fit)


def fitted(picture: images.Picture, placed: Layout, settings: SynthesisSettings) -> images.Picture:
    """Return the part of a subject that is printed, with the pixels of the print and notes on what that costs."""
    width, height = picture.size
    left, top, right, bottom = placed.box
    box = left * width, top * height, right * width, bottom * height
    alpha = picture.alpha
    if alpha is not None:
        alpha = images.resize(alpha[..., None].astype(np.float32), placed.size, box=box)[..., 0]
    return dataclasses.replace(
        picture,
        pixels=images.resize(picture.pixels, placed.size, picture.alpha, box),
        alpha=alpha,
        notes=(*picture.notes, *notes_of(picture.size, settings)),
    )


def result_size(picture: images.Picture, settings: SynthesisSettings) -> tuple[int, int]:
    """Return width and height of the whole result of a subject that `Run.fitted` returned."""
    return picture.size if settings.print is not None else images.fit(picture.size, settings.size or max(picture.size))


def proof_box(picture: images.Picture, settings: SynthesisSettings) -> Box:
    """Return the place of a proof's tile in the whole result."""
    return tile_box(picture.pixels, result_size(picture, settings), settings)


def with_proof_note(picture: images.Picture, settings: SynthesisSettings) -> images.Picture:
    """Return a fitted subject with a note on the place of its proof, if there is one."""
    if settings.proof is None:
        return picture
    (left, top, right, bottom), (width, height) = proof_box(picture, settings), result_size(picture, settings)
    place = f"{50 * (left + right) / width:.0f},{50 * (top + bottom) / height:.0f}"
    note = f"proof of {right - left} x {bottom - top} pixels around {place} percent of {width} x {height}"
    return dataclasses.replace(picture, notes=(*picture.notes, note))


def notes_of(subject_size: tuple[int, int], settings: SynthesisSettings) -> list[str]:
    """Return notes on what is cut off a subject of (width, height) and how far it is enlarged; none without a print."""
    placed = layout(subject_size, settings)
    if placed is None:
        return []
    notes = []
    kept = (placed.box[2] - placed.box[0]) * (placed.box[3] - placed.box[1])
    if kept < _CROPPED:
        notes.append(
            f"print {settings.print} has another shape; {100 * (1 - kept):.0f} % of the picture is cropped "
            "(--fit border keeps all)"
        )
    covered = placed.size[0] * placed.size[1] / (placed.paper[0] * placed.paper[1])
    if min(kept, covered) < _CROPPED:
        notes += _turned(subject_size, settings)
    if settings.dpi is not None and placed.dpi < _ENLARGED * settings.dpi:
        notes.append(
            f"has {placed.dpi:.0f} dots per inch at this print size; it is enlarged to {settings.dpi:g} dpi, "
            "and the style adds the detail"
        )
    return notes


def _turned(subject_size: tuple[int, int], settings: SynthesisSettings) -> list[str]:
    """Return a note on a written size whose other orientation suits the subject."""
    size = parse(settings.print or "")
    ratio = subject_size[0] / subject_size[1]
    if size.turns or (size.width - size.height) * (ratio - 1) >= 0:
        return []
    sheet, photograph = ("portrait", "landscape") if ratio > 1 else ("landscape", "portrait")
    gain = "cuts less off" if settings.fit == "crop" else "leaves less paper white"
    return [
        f"print {size.text} is {sheet} and the photograph is {photograph}; --print {size.turned_text} {gain}",
    ]


def with_print_advice(error: str, result_size: tuple[int, int], settings: SynthesisSettings) -> str:
    """Return the error of a picture that is too large for the memory, with the options that set its size.

    Parameters
    ----------
    error
        As `synthesis.memory.require_memory` raises it, or any other.
    result_size
        Width and height of the whole result.
    """
    if settings.proof is not None:
        return SIZE_ADVICE.sub("Choose a smaller --proof", error)
    if settings.print is None or settings.dpi is None:
        return error
    dpi = settings.dpi

    def advice(match: re.Match[str]) -> str:
        lower = math.floor(dpi * int(match[1]) / max(result_size))
        return f"Choose --dpi {lower} or less, a smaller --print" if lower >= 1 else "Choose a smaller --print"

    return SIZE_ADVICE.sub(advice, error).replace("Try a smaller --size.", "Try a lower --dpi or a smaller --print.")


def on_paper(
    pixels: Pixels, picture: images.Picture, settings: SynthesisSettings
) -> tuple[Pixels, npt.NDArray[np.float32] | None]:
    """Return a result as it is written, with its opacity: on white paper, if the settings ask for a border.

    Parameters
    ----------
    pixels : ndarray, float32, shape (H, W, 3)
        The result, also at a coarser size, or the tile of a proof.
    picture
        The subject, as `Run.fitted` returns it.
    """
    size = pixels.shape[1], pixels.shape[0]
    if settings.proof is not None:
        left, top, right, bottom = proof_box(picture, settings)
        alpha = images.alpha_at(picture, result_size(picture, settings))
        return pixels, None if alpha is None else alpha[top:bottom, left:right]
    alpha = images.alpha_at(picture, size)
    placed = layout(size, settings) if settings.fit == "border" else None
    if placed is None:
        return pixels, alpha
    scale = size[0] / placed.size[0]
    width, height = (max(round(side * scale), own) for side, own in zip(placed.paper, size, strict=True))
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    part = np.s_[top : top + size[1], left : left + size[0]]
    paper = np.full((height, width, 3), 255, np.float32)
    paper[part] = pixels
    if alpha is None:
        return paper, None
    opacity = np.full((height, width), 255, np.float32)
    opacity[part] = alpha
    return paper, opacity
