"""What a contact sheet shows: a photograph, and its pictures in several styles or settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture on the sheet, or the reason why it is missing.

    Attributes
    ----------
    label : str
        Style or settings, below the picture.
    image : PIL.Image.Image or None
        In RGB.
    error : str
        Reason for a missing picture.
    command : str
        Command that computes the picture at full size; empty for none.
    """

    label: str
    image: Image.Image | None
    error: str = ""
    command: str = ""


@dataclass(frozen=True, eq=False)
class Sheet:
    """A photograph and its pictures.

    Attributes
    ----------
    title : str
    photo : Panel
    panels : tuple of Panel
        Row by row.
    columns, rows : tuple of str
        Labels of the columns and rows of a table; empty for pictures that stand in any number of columns.
    path : Path or None
        The file, of a sheet that is written.
    """

    title: str
    photo: Panel
    panels: tuple[Panel, ...]
    columns: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    path: Path | None = None

    @property
    def failed(self) -> tuple[Panel, ...]:
        """The panels without a picture."""
        return tuple(panel for panel in self.panels if panel.image is None)
