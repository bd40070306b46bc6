"""Names of styles, and the names of their files."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from .errors import NameRefused, printable

MAX_LENGTH = 100
SUFFIX = ".stylebank.h5"
_BANK_FILE = re.compile(r"[a-z0-9-]{1,40}-([0-9a-f]{10})" + re.escape(SUFFIX))
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_name(name: str) -> str:
    r"""Return `name` in Unicode's NFC form.

    A name has 1 to 100 characters. It contains no ``/``, ``\``, control character, line separator, or character
    that changes the direction of writing. It does not start with ``-`` or ``.``, and does not start or end with a
    space. Emoji are allowed.

    Raises
    ------
    NameRefused
        If the name breaks a rule; the message names the rule.
    """
    name = unicodedata.normalize("NFC", name)
    excerpt = printable(name[:40]) + ("..." if len(name) > 40 else "")
    reason = ""
    if not 1 <= len(name) <= MAX_LENGTH:
        reason = f"a name has 1 to {MAX_LENGTH} characters, this one {len(name)}"
    elif name[0] in "-.":
        reason = f"a name does not start with {name[0]!r}"
    elif name != name.strip():
        reason = "a name does not start or end with a space"
    else:
        for character in name:
            if character in "/\\":
                reason = f"a name holds no {character}"
            elif character in _BIDI or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}:
                reason = f"a name holds no control character such as U+{ord(character):04X}"
            if reason:
                break
    if reason:
        raise NameRefused(f"style name '{excerpt}': {reason}. Choose another.")
    return name


def casefold_key(name: str) -> str:
    """Return a key that is equal for names that differ only in case; a bank has at most one of them."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def file_name(name: str) -> str:
    """Return the name of a style's file: a readable slug and a short digest of the name."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_name).strip("-")[:40] or "style"
    return f"{slug}-{_digest(name)}{SUFFIX}"


def may_contain(file: str, name: str) -> bool:
    """Tell whether a file with this name may contain the style, ignoring case; False only for another style's name."""
    match = _BANK_FILE.fullmatch(file)
    return match is None or match[1] == _digest(name)


def _digest(name: str) -> str:
    return hashlib.sha256(casefold_key(name).encode()).hexdigest()[:10]
