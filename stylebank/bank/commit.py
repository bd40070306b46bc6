"""Write a style file into a bank."""

from __future__ import annotations

from pathlib import Path

from ..errors import OutputRefused, StyleDamaged, printable
from ..files import follow_group, replace_file
from ..storage import reader, writer
from ..style import Style


def commit(target: Path, style: Style) -> None:
    """Write a style file, and read it back before the rename."""
    data = writer.encode(style)

    def write(path: Path) -> None:
        path.write_bytes(data)
        follow_group(path)

    def check(path: Path) -> None:
        try:
            reader.read(path)
        except StyleDamaged as error:
            raise OutputRefused(
                f"{printable(target)}: not written, because it reads back damaged ({error.__cause__}). "
                "Check the disk, or measure the painting again."
            ) from error

    replace_file(target, write, check)
