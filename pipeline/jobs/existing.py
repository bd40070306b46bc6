"""What happens to an output that exists and is not the picture that is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from stylebank.errors import plural, printable

from .plan import Task
from .record import Entry, deciding

_MOST_DIFFERENCES = 3
_ABSENT = object()


@dataclass(frozen=True)
class Difference:
    """An output that exists and is another picture.

    Attributes
    ----------
    task : Task
        With the name of the existing output.
    reason : str
        What it is by the record, such as ``by the record it has size 512, not 768``.
    """

    task: Task
    reason: str


def describe(wanted: Entry, entries: Sequence[Entry]) -> str:
    """Return in what an existing output differs from the picture that is asked for.

    Parameters
    ----------
    wanted
        Line of the picture before it is computed, with the digest of its subject.
    entries
        Lines of the record about this output, oldest first.
    """
    if not entries:
        return "it is not in the record"
    if any(entry.same_work(wanted) for entry in entries):
        return "it has changed since it was written"
    last = entries[-1]
    if last.subject_sha256 != wanted.subject_sha256:
        return "by the record it is another subject"
    if last.style != wanted.style:
        return f"by the record it has style {printable(last.style)}, not {printable(wanted.style)}"
    if last.style_sha256 != wanted.style_sha256:
        return f"style {printable(wanted.style)} has changed since"
    old, new = deciding(last.settings), deciding(wanted.settings)
    versions = {settings["algorithm"] for settings in (old, new) if "algorithm" in settings}
    if len(versions) > 1:
        return "by the record an earlier or a later version of stylebank made it"
    keys = [key for key in {**new, **old} if old.get(key, _ABSENT) != new.get(key, _ABSENT)]
    if not keys:
        return "by the record it was computed with other weights of the network"
    shown = [f"{key} {_shown(old, key)}, not {_shown(new, key)}" for key in keys[:_MOST_DIFFERENCES]]
    more = f" and {len(keys) - _MOST_DIFFERENCES} more" if len(keys) > _MOST_DIFFERENCES else ""
    return f"by the record it has {'; '.join(shown)}{more}"


def _shown(settings: dict[str, Any], key: str) -> str:
    value = settings.get(key, _ABSENT)
    text = "none" if value is _ABSENT or value is None else f"{value:g}" if isinstance(value, float) else str(value)
    return printable(text if len(text) <= 40 else f"{text[:37]}...")


_ACTIONS = {
    "number": "The new picture gets a number",
    "skip": "It stays, and nothing is computed in its place",
    "fail": "Nothing is computed",
    "overwrite": "It is replaced",
}
_ACTIONS_MANY = {
    "number": "The new pictures get numbers",
    "skip": "They stay, and nothing is computed in their place",
    "fail": "Nothing is computed",
    "overwrite": "They are replaced",
}


def notice(differences: Sequence[Difference], policy: str) -> str:
    """Return one message about all existing outputs of one policy.

    Parameters
    ----------
    differences
        At least one.
    policy
        One of `settings.ON_EXISTING`.
    """
    first = differences[0]
    advice = "Choose with --on-existing number, skip, fail or overwrite."
    if len(differences) == 1:
        return f"{printable(first.task.output)}: exists already, and {first.reason}. {_ACTIONS[policy]}. {advice}"
    counts = Counter(difference.reason for difference in differences)
    reason, count = counts.most_common(1)[0]
    others = f" ({count:,} of them; others differ otherwise)" if len(counts) > 1 else ""
    return (
        f"{plural(len(differences), 'output')} exist already and are other pictures, such as "
        f"{printable(first.task.output)}: {reason}{others}. {_ACTIONS_MANY[policy]}. {advice}"
    )
