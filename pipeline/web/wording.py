"""Sentences of the command line, in the words of the page."""

from __future__ import annotations

import re

#: Options that the page has a control for, by the label of the control.
_LABELS = {
    "--size": "number of pixels",
    "--format": "file format",
    "--print": "print size",
    "--dpi": "number of dots per inch",
    "--steps": "number of steps",
    "--strength": "strength",
    "--tv-weight": "smoothness",
    "--style-scale": "stroke size",
}
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_IN_BRACKETS = re.compile(r" \(--[a-z-]+[^()]*\)")
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?]) (?=[A-Z])")


def for_page(text: str) -> str:
    """Return a note or an error without the options that the page lacks.

    An option with a control becomes the control's label. A sentence with any other option is left out, unless it
    is the first one, which says what is wrong.
    """
    text = _IN_BRACKETS.sub("", text)
    text = _OPTION.sub(lambda match: _LABELS.get(match[0], match[0]), text)
    first, *others = _BETWEEN_SENTENCES.split(text)
    return " ".join([first, *(sentence for sentence in others if not _OPTION.search(sentence))])
