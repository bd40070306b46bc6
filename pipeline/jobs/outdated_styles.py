"""The note of a run on styles that earlier defaults have measured."""

from __future__ import annotations

from collections.abc import Sequence

from ..ingest.outdated import outdated_note
from ..settings import SynthesisSettings
from .run import Run


def outdated_styles(runs: Sequence[Run]) -> str:
    """Return the note on styles of runs that a new measure would make better; empty without one.

    A run that chooses its layers, as the preset ``original`` does, keeps to the styles that have them.
    """
    by_default = [run for run in runs if run.settings.layers == SynthesisSettings.layers]
    return outdated_note([header for run in by_default for header in run.headers.values()])
