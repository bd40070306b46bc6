"""Completion in bash, zsh and fish: names are quoted for the shell, and a value completes after ``--option=``.

Click's own scripts insert names as they are, so that blanks and quotes break the line, and lose what stands before
``=``. In bash they see neither the quotes nor the ``=`` and ``:`` at which readline divides a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from click import shell_completion
from click.shell_completion import CompletionItem

from stylebank.errors import StylebankError

_BASH = """\
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain,*) COMPREPLY+=("${line#plain,}") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \
%(complete_var)s=bash_complete "$1")
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp | string collect) \
COMP_CWORD=(commandline -ct | string collect) %(prog_name)s)
    for completion in $response
        set -l metadata (string split -m 1 "," -- $completion)
        switch $metadata[1]
            case dir
                __fish_complete_directories $metadata[2]
            case file
                __fish_complete_path $metadata[2]
            case plain
                string join -- \\n $metadata[2]
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
#: Characters that bash takes literally in a word, beside those beyond ASCII.
_LITERAL = re.compile(r"[\w@%+=:,./~^-]|[^\x00-\x7f]")


def register() -> None:
    """Replace Click's classes for bash, zsh and fish."""
    for shell in (_Bash, _Zsh, _Fish):
        shell_completion.add_completion_class(shell)


class _WholeWords(shell_completion.ShellComplete):
    """Completes to whole words, also after ``--option=``."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[Any]]:
        try:
            items = super().get_completions(list(args), incomplete)
        except StylebankError:  # a bank that cannot be read has no names; a message would disturb the line
            return []
        name, equals, _value = incomplete.partition("=")
        if not equals or not name.startswith("-"):
            return items
        return [
            CompletionItem(f"{name}={item.value}", item.type, item.help) if item.type == "plain" else item
            for item in items
        ]


class _Zsh(_WholeWords, shell_completion.ZshComplete):
    """Zsh quotes by itself, and replaces whole words."""


class _Fish(_WholeWords, shell_completion.FishComplete):
    """Fish quotes by itself; names can have commas."""

    source_template = _FISH


class _Bash(_WholeWords, shell_completion.BashComplete):
    """Bash inserts what it gets, in place of the end of the word that readline completes."""

    source_template = _BASH

    def complete(self) -> str:
        line = split_line(os.environ["COMP_LINE"], os.environ.get("COMP_WORDBREAKS", ""))
        items = self.get_completions(line.words[1:-1], line.words[-1])
        special = [item.type for item in items if item.type != "plain"]
        if special:
            return special[0]
        values = [str(item.value)[line.start :] for item in items]
        return "\n".join(f"plain,{text}" for text in quoted(values, line.quote))


@dataclass(frozen=True)
class Line:
    """A command line up to the cursor.

    Attributes
    ----------
    words : list of str
        All words without their quotes; the last is the one at the cursor, which can be empty.
    quote : str
        The quote that is open at the cursor; empty if there is none.
    start : int
        Length of the part of the last word, without quotes, that readline leaves alone.
    """

    words: list[str]
    quote: str
    start: int


def split_line(text: str, breaks: str) -> Line:
    """Split a command line as bash does.

    Parameters
    ----------
    text
        The line up to the cursor.
    breaks
        Characters at which readline divides words, as in ``COMP_WORDBREAKS``.
    """
    words, word, quote, start, in_word = [], "", "", 0, False
    characters = iter(text)
    for character in characters:
        if quote == "'" or (quote and character not in {quote, "\\"}):
            if character == quote:
                quote = ""
            else:
                word += character
        elif character == "\\":
            in_word = True
            following = next(characters, "")
            word += following if not quote or following in '$`"\\' else "\\" + following
        elif quote:
            quote = ""
        elif character in "'\"":
            quote, start, in_word = character, len(word), True
        elif character.isspace():
            if in_word:
                words.append(word)
            word, start, in_word = "", 0, False
        else:
            word += character
            in_word = True
            if character in breaks:
                start = len(word)
    return Line([*words, word], quote, start)


def quoted(values: Sequence[str], quote: str = "") -> list[str]:
    """Return candidates as bash is to insert them, inside an open `quote` or outside of quotes.

    Readline inserts what the candidates have in common, so that must be quoted in full: no backslash without the
    character it quotes.
    """
    escape: Callable[[str], str] = {"'": _in_single_quotes, '"': _in_double_quotes}.get(quote, _unquoted)
    common = os.path.commonprefix(values) if len(values) > 1 else ""  # noqa: RUF071 - of any texts
    rests = [escape(value[len(common) :]) for value in values]
    if len(rests) > 1 and not quote and all(rest.startswith("\\") for rest in rests):
        rests[0] = f"'{_in_single_quotes(values[0][len(common) :])}'"
    return [escape(common) + rest for rest in rests]


def _unquoted(text: str) -> str:
    escaped = "".join(c if _LITERAL.fullmatch(c) else f"\\{c}" for c in text)
    return f"\\{escaped}" if escaped.startswith("~") else escaped


def _in_single_quotes(text: str) -> str:
    return text.replace("'", "'\\''")


def _in_double_quotes(text: str) -> str:
    return re.sub(r'([$`"\\])', r"\\\1", text)
