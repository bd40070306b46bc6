"""Job files: many runs in one TOML file, with a strict schema whose errors name the line."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from stylebank.errors import UsageError, printable
from stylebank.files import explain

from . import batch, buckets, styling
from .plan import refuse_clashes
from .progress import Listener
from .record import Entry
from .run import Run
from .settings import SynthesisSettings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_OWN_KEYS = {"style", "styles", "subjects", "output"}
#: How a run is shared out belongs to the command, not to a job.
_FOR_THE_COMMAND = {"jobs", "device", "devices", "deterministic", "cluster", "batch_size", "fail_fast", "keep_going"}
_MOST_BYTES = 1 << 22


@dataclass(frozen=True)
class Job:
    """One ``[[job]]``, its defaults filled in.

    Attributes
    ----------
    line : int
        Where it stands in the file, from 1.
    styles : tuple of tuple of str
        Crossed with the subjects; each as `styling.parse` takes it.
    subjects : tuple of str
        Files, folders and patterns; relative ones from the job file's folder.
    output : str
        Below the run's output folder.
    options : mapping
        As for `batch.prepare`.
    """

    line: int
    styles: tuple[tuple[str, ...], ...]
    subjects: tuple[str, ...]
    output: str
    options: Mapping[str, Any]


def known_keys() -> set[str]:
    """Return the keys of a job: its own, and every option of `apply` that is about pictures."""
    parameters = inspect.signature(batch.prepare).parameters.values()
    options = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    return _OWN_KEYS | options | {field.name for field in dataclasses.fields(SynthesisSettings)}


def read(path: str | os.PathLike[str]) -> list[Job]:
    """Read a job file.

    Parameters
    ----------
    path
        TOML: a table ``[defaults]`` and any number of ``[[job]]``. Hyphens in keys are as good as underscores.

    Returns
    -------
    list of Job

    Raises
    ------
    UsageError
        ``file, line N: what was found. What to do.``
    """
    path = Path(path)
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{printable(path)}: {printable(str(error))}. Mend the TOML there.") from None
    except RecursionError:
        raise UsageError(f"{printable(path)}: nested too deeply. Job files hold tables of plain values.") from None
    where = _Where(path, text)
    for key in content:
        if key not in {"defaults", "job"}:
            raise where.error((key,), _unknown(key, {"defaults", "job"}, "[defaults] and [[job]]"))
    defaults = content.get("defaults", {})
    if not isinstance(defaults, dict):
        raise where.error(("defaults",), "defaults: expected a table. Write [defaults].")
    tables = content.get("job", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise where.error(("job",), "job: expected tables. Write [[job]] with two brackets above each.")
    if not tables:
        raise UsageError(f"{printable(path)}: no [[job]] in it. Add one with style, subjects and output.")
    shared = _checked(defaults, ("defaults",), where)
    return [_job(shared, table, index, where, path.parent) for index, table in enumerate(tables)]


def run_jobs(
    bank: Bank,
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    jobs: int | None = None,
    devices: Sequence[str | int] = (),
    cluster: str | None = None,
    device: str | None = None,
    deterministic: bool = False,
    batch_size: str | int = buckets.AUTO,
    fail_fast: bool = False,
    listener: Listener = lambda progress: None,
) -> list[Entry]:
    """Make the pictures of a job file.

    Parameters
    ----------
    bank, path, output, overwrite
        As for `prepare`.
    jobs, devices, cluster, device, deterministic, batch_size, fail_fast, listener
        As for `batch.apply`.

    Returns
    -------
    list of Entry
        One a picture, as written to the records in the output folders.

    Raises
    ------
    StylebankError
    """
    runs = prepare(bank, path, output, overwrite=overwrite)
    crew = batch.choose_crew(jobs, devices, cluster, device, deterministic)
    return batch.execute(runs, crew, batch_size=batch_size, fail_fast=fail_fast, listener=listener)


def prepare(
    bank: Bank,
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
) -> list[Run]:
    """Read a job file and plan every job with each of its styles.

    Parameters
    ----------
    bank
        Of the styles.
    path
        As for `read`.
    output
        The folder all outputs stay under; the job file's own unless given.
    overwrite
        Make pictures again that are there already, whatever the jobs say.

    Returns
    -------
    list of Run
        For `batch.execute`.

    Raises
    ------
    StylebankError
        For anything that is wrong before work, naming the job's line.
    """
    path = Path(path)
    root = Path(path.parent if output is None else output)
    runs = []
    for job in read(path):
        for style in job.styles:
            try:
                target = _below(root, job.output)
                options = {**job.options, "overwrite": overwrite or job.options.get("overwrite", False)}
                if "animation" in options:
                    options["animation"] = _below(root, options["animation"], "animation")
                runs.append(batch.prepare(bank, list(style), job.subjects, target, **options))
            except UsageError as error:
                raise type(error)(f"{printable(path)}, job at line {job.line}: {error}") from error
    tasks = [task for run in runs for task in run.planned.tasks]
    animations = [run.animation for run in runs if run.animation is not None]
    try:
        refuse_clashes(tasks)
    except UsageError as error:
        raise UsageError(f"{printable(path)}: {error} Jobs can have an output folder each.") from error
    if len(set(map(os.path.realpath, animations))) < len(animations):
        raise UsageError(f"{printable(path)}: two jobs would write the same animation. Give each a name of its own.")
    subjects = {os.path.realpath(task.subject) for task in tasks}
    for run in runs:
        run.protect(subjects)
    return runs


def _job(shared: Mapping[str, Any], table: dict[str, Any], index: int, where: _Where, folder: Path) -> Job:
    place = ("job", index)
    given = _checked(table, place, where)
    if "style" in given or "styles" in given:  # either of a job takes the place of either of the defaults
        shared = {key: value for key, value in shared.items() if key not in {"style", "styles"}}
    merged = {**shared, **given}
    if "style" in merged and "styles" in merged:
        raise where.error(place, "both style and styles. Give one of them.")
    styles = _stylings(merged.pop("style", None), merged.pop("styles", None))
    if not styles:
        raise where.error(place, 'no style. Add style = "NAME", or styles = ["NAME", ...] to cross with the subjects.')
    if len(set(styles)) < len(styles):
        raise where.error((*place, "styles"), "styles: one is named twice. Leave it out.")
    subjects = merged.pop("subjects", None)
    if not subjects:
        raise where.error(place, 'no subjects. Add subjects = ["FOLDER", "in/*.jpg", ...].')
    output = merged.pop("output", "")
    for key, names in (("weights", {"keras", "packaged"}), ("init", {"subject", "noise"})):
        if key in merged and merged[key] not in names:
            merged[key] = str(folder / merged[key])
    if "mask" in merged:
        masks = [merged["mask"]] if isinstance(merged["mask"], str) else merged["mask"]
        merged["mask"] = [styling.below(mask, folder) for mask in masks]
    line = where.line(place)
    return Job(line, styles, tuple(str(folder / subject) for subject in subjects), output, merged)


def _stylings(style: Any, styles: Any) -> tuple[tuple[str, ...], ...]:
    """What `style` or `styles` say, each a list of what ``--style`` takes.

    `style` is one, or a list that belongs together; `styles` a list of such, or a table of weights.
    """
    if style is not None:
        return ((style,) if isinstance(style, str) else tuple(style),)
    if isinstance(styles, dict):
        return (tuple(f"{name}:{weight:g}" for name, weight in styles.items()),)
    return tuple((each,) if isinstance(each, str) else tuple(each) for each in styles or ())


def _checked(table: Mapping[str, Any], place: tuple[str | int, ...], where: _Where) -> dict[str, Any]:
    """Return a table with underscores for hyphens, every key known and every value of its type."""
    known = known_keys()
    checked: dict[str, Any] = {}
    for given, value in table.items():
        key = given.replace("-", "_")
        here = (*place, given)
        if key in _FOR_THE_COMMAND:
            option = "--" + key.replace("_", "-")
            raise where.error(here, f"{given}: not a job's to say. Give {option} to 'stylebank batch'.")
        if key not in known:
            raise where.error(here, _unknown(given, known, "the options of 'stylebank apply'"))
        if key in checked:
            raise where.error(here, f"{given}: given twice, with a hyphen and with an underscore. Leave one out.")
        if key == "subjects" and isinstance(value, str):
            value = [value]
        expected = _EXPECTED.get(key) or _type_of(key)
        if not _fits(key, value, expected):
            raise where.error(here, f"{given} = {printable(repr(value))[:80]}: expected {expected}.")
        checked[key] = value
    return checked


def _unknown(key: str, known: set[str], whole: str) -> str:
    near = difflib.get_close_matches(key.replace("-", "_"), sorted(known), n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Known are {whole}."
    return f"{printable(key)}: unknown key. {hint}"


_TYPES = {
    "str": ("a text in quotes", (str,)),
    "int": ("a whole number", (int,)),
    "float": ("a number", (int, float)),
    "bool": ("true or false", (bool,)),
    "list": ("a list of texts in quotes", (list,)),
}


def _type_of(key: str) -> str:
    """Return what a key's value has to be, in words, from the annotations that Python code goes by."""
    if key in {"styles", "subjects"}:
        return _TYPES["list"][0]
    annotations = {field.name: str(field.type) for field in dataclasses.fields(SynthesisSettings)}
    for name, parameter in inspect.signature(batch.prepare).parameters.items():
        annotations.setdefault(name, str(parameter.annotation))
    annotation = annotations.get(key, "str")
    for sign, kind in (("tuple", "list"), ("bool", "bool"), ("float", "float"), ("int", "int")):
        if annotation.startswith(sign):
            return _TYPES[kind][0]
    return _TYPES["str"][0]


_EXPECTED = {
    "style": "a text in quotes, or a list of such",
    "styles": "a list of texts in quotes or of lists of them, or a table of names and weights",
    "mask": "a text in quotes, or a list of such",
    "layer_weights": 'a list of texts such as "conv4=0.5", or a table of layers and weights',
}


def _fits(key: str, value: Any, expected: str) -> bool:
    if key in _EXPECTED:
        return _fits_many(key, value)
    kinds = next(kinds for words, kinds in _TYPES.values() if words == expected)
    if isinstance(value, bool) and bool not in kinds:
        return False
    if isinstance(value, list) and not all(isinstance(part, str) and part for part in value):
        return False
    return isinstance(value, kinds)


def _fits_many(key: str, value: Any) -> bool:
    """Whether a value has one of the forms in `_EXPECTED`."""

    def texts(given: Any) -> bool:
        return isinstance(given, list) and bool(given) and all(isinstance(part, str) and part for part in given)

    if isinstance(value, dict):
        numbers = all(isinstance(part, int | float) and not isinstance(part, bool) for part in value.values())
        return key in {"styles", "layer_weights"} and bool(value) and numbers
    if key == "styles":
        return isinstance(value, list) and bool(value) and all(texts([part]) or texts(part) for part in value)
    return texts(value) or (key in {"style", "mask"} and isinstance(value, str) and bool(value))


def _below(root: Path, output: str, key: str = "output") -> Path:
    """Return `output` in `root`; refuse one that leads out of it, through ``..``, a link or from the top."""
    target = root / output
    inside, outside = os.path.realpath(target), os.path.realpath(root)
    if Path(output).is_absolute() or os.path.commonpath([inside, outside]) != outside:
        raise UsageError(
            f"{key} {printable(output)}: leads out of the output folder {printable(outside)}. "
            f"Name a {'folder' if key == 'output' else 'file'} below it, or give another --output."
        )
    return target


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise UsageError(f"{printable(path)}: a folder. Give a job file, such as JOBS.toml in it.")
        if not path.is_file():
            raise UsageError(f"{printable(path)}: no such file. Give a job file, JOBS.toml.")
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{printable(path)}: {path.stat().st_size:,} bytes are too many for a job file.")
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{printable(path)}: not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{printable(path)}: {explain(error)}") from error


class _Where:
    """Finds the line of a key, by the parser itself: the first line with which the key is there."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines(keepends=True)

    def error(self, place: Sequence[str | int], message: str) -> UsageError:
        return UsageError(f"{printable(self._path)}, line {self.line(place)}: {message}")

    def line(self, place: Sequence[str | int]) -> int:
        begun = 0  # a value of several lines begins after the last line that made sense without it
        for count in range(1, len(self._lines) + 1):
            try:
                content: Any = tomllib.loads("".join(self._lines[:count]))
                for step in place:
                    content = content[step]
                break
            except tomllib.TOMLDecodeError:
                continue
            except (KeyError, IndexError, TypeError):
                begun = count
        rest = enumerate(self._lines[begun:], start=begun + 1)
        return next((number for number, line in rest if line.strip() and not line.lstrip().startswith("#")), begun + 1)
