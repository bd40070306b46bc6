"""Styles that were measured by the defaults of an earlier version."""

from __future__ import annotations

from collections.abc import Sequence
from shlex import quote

from stylebank.bank.fingerprints import describe, listed
from stylebank.errors import plural, printable
from stylebank.style import CONVOLUTIONS, PIXELS, Fingerprint, Header

from ..settings import MEASURE_PRESETS, IngestSettings, ingest_settings

#: Defaults of earlier versions. Whoever changes those of `IngestSettings` adds the ones before.
EARLIER_DEFAULTS = (IngestSettings(layers=tuple(CONVOLUTIONS), pooling="avg", padding="reflect"),)


def is_outdated(fingerprint: Fingerprint) -> bool:
    """Return whether a style was measured by the defaults of an earlier version, which are not those of today.

    Layers, pooling and padding count. A style of other layers was measured so by choice, and so was one of a preset.
    """
    return not measured_with(fingerprint, IngestSettings()) and any(
        measured_with(fingerprint, earlier) for earlier in EARLIER_DEFAULTS
    )


def preset_of(fingerprint: Fingerprint) -> str | None:
    """Return the preset that a style was measured with, if it is one whose measure is not the default."""
    if measured_with(fingerprint, IngestSettings()):
        return None
    return next((name for name in MEASURE_PRESETS if measured_with(fingerprint, ingest_settings(name))), None)


def measured_with(fingerprint: Fingerprint, settings: IngestSettings) -> bool:
    """Return whether a fingerprint has the layers, the pooling and the padding of settings."""
    measured = (fingerprint.layers, fingerprint.pooling, fingerprint.padding)
    return measured == ((PIXELS, *settings.layers), settings.pooling, settings.padding)


def outdated_note(headers: Sequence[Header]) -> str:
    """Return the note on styles that were measured by earlier defaults; empty without one."""
    outdated = list({header.name: header for header in headers if is_outdated(header.fingerprint)}.values())
    if not outdated:
        return ""
    names = [header.name for header in outdated]
    subject = f"style {listed(names)}" if len(names) == 1 else f"{plural(len(names), 'style')} ({listed(names)})"
    combined = [header.name for header in outdated if header.recipe]
    again = f", then mix or pool {listed(combined)} again" if combined else ""
    painting = printable(outdated[0].source.filename) if len(outdated) == 1 and not combined else ""
    return (
        f"{subject}: measured by the defaults of an earlier version, {describe(outdated[0].fingerprint)}. "
        f"A new measure gives better pictures: stylebank remeasure {quote(painting) if painting else 'PAINTING'}{again}"
    )
