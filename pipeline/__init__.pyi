import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from stylebank.bank import Bank
from stylebank.style import Style

from .ingest.add import add as add
from .ingest.remeasure import remeasure as remeasure
from .ingest.similar import similar as similar
from .jobs import report as report
from .jobs.apply import ImagesFailed as ImagesFailed
from .jobs.apply import apply as apply
from .jobs.events import Finished as Finished
from .jobs.events import Listener
from .jobs.events import Notice as Notice
from .jobs.events import Progress as Progress
from .jobs.events import Started as Started
from .jobs.events import Stepped as Stepped
from .jobs.job_file import run_jobs as run_jobs
from .jobs.presets import Preset as Preset
from .jobs.presets import presets as presets
from .jobs.progress_bar import progress_bar as progress_bar
from .jobs.read_record import read_record as read_record
from .jobs.record import Entry as Entry
from .jobs.stylize import AnyImage
from .jobs.try_styles import try_styles as try_styles
from .settings import IngestSettings as IngestSettings
from .settings import SynthesisSettings as SynthesisSettings

MeasureSettings = IngestSettings

@overload
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
    listener: Listener = ...,
    progress: bool | Literal["auto"] = False,
    as_array: Literal[True],
    **settings: Any,
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]: ...
@overload
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
    listener: Listener = ...,
    progress: bool | Literal["auto"] = False,
    as_array: Literal[False] = False,
    **settings: Any,
) -> Image.Image: ...
