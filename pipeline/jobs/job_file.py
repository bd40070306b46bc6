"""Job files: many runs in one TOML file with a strict schema. Errors name the line."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from stylebank.errors import UsageError, printable
from stylebank.files import describe_os_error

from ..execution import batching, executors
from . import apply, style_spec
from .events import Listener
from .job_schema import Where, checked, unknown
from .plan import mark_clashes, require_possible
from .record import Entry
from .run import Run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MOST_BYTES = 1 << 22


@dataclass(frozen=True)
class Job:
    """One ``[[job]]`` with the defaults filled in.

    Attributes
    ----------
    line : int
        Line of its header, from 1.
    styles : tuple of tuple of str
        Styles to cross with the subjects, each as for `style_spec.parse`.
    subjects : tuple of str
        Files, folders and patterns. Relative paths start from the folder of the job file.
    output : str
        Folder below the output folder of the run.
    options : mapping
        Keywords of `apply.prepare`.
    """

    line: int
    styles: tuple[tuple[str, ...], ...]
    subjects: tuple[str, ...]
    output: str
    options: Mapping[str, Any]


def read(path: str | os.PathLike[str]) -> list[Job]:
    """Read a job file.

    Parameters
    ----------
    path
        TOML: a table ``[defaults]`` and any number of ``[[job]]``. Keys can have hyphens for underscores.

    Returns
    -------
    list of Job

    Raises
    ------
    UsageError
        ``FILE, line N: reason. What to do.``
    """
    path = Path(path)
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{printable(path)}: {printable(str(error))}. Correct the TOML at that place.") from None
    except ValueError:  # Python reads no integer of more than 4300 digits
        raise UsageError(f"{printable(path)}: a number has thousands of digits. Use a shorter one.") from None
    except RecursionError:
        raise UsageError(f"{printable(path)}: nested too deeply. Job files hold tables of plain values.") from None
    where = Where(path, text)
    for key in content:
        if key not in {"defaults", "job"}:
            raise where.error((key,), unknown(key, {"defaults", "job"}, "[defaults] and [[job]]"))
    defaults = content.get("defaults", {})
    if not isinstance(defaults, dict):
        raise where.error(("defaults",), "defaults: expected a table. Write [defaults].")
    tables = content.get("job", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise where.error(("job",), "job: expected tables. Write [[job]] with two brackets above each.")
    if not tables:
        raise UsageError(f"{printable(path)}: no [[job]] in it. Add one with style, subjects and output.")
    defaults = checked(defaults, ("defaults",), where)
    return [_job(defaults, table, index, where, path.parent) for index, table in enumerate(tables)]


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
    batch_size: str | int = batching.AUTO,
    fail_fast: bool = False,
    listener: Listener = lambda progress: None,
) -> list[Entry]:
    """Compute the images of a job file.

    Parameters
    ----------
    bank, path, output, overwrite
        As for `prepare`.
    jobs, devices, cluster, device, deterministic, batch_size, fail_fast, listener
        As for `apply.apply`.

    Returns
    -------
    list of Entry
        One per image, as written to the records in the output folders.

    Raises
    ------
    StylebankError
    """
    runs = prepare(bank, path, output, overwrite=overwrite)
    executor = executors.make_executor(jobs, devices, cluster, device, deterministic)
    return apply.execute(runs, executor, batch_size=batch_size, fail_fast=fail_fast, listener=listener)


def prepare(
    bank: Bank,
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
) -> list[Run]:
    """Read a job file and plan a run for each style of each job.

    Parameters
    ----------
    bank
        Bank with the styles.
    path
        As for `read`.
    output
        The folder of all outputs. The default is the folder of the job file.
    overwrite
        Compute images again that are complete, whatever the jobs say.

    Returns
    -------
    list of Run
        For `apply.execute`.

    Raises
    ------
    StylebankError
        For any error before the first image; it names the line of the job. An output that cannot be written
        is a problem of its task, unless there is no other output.
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
                runs.append(apply.prepare(bank, list(style), job.subjects, target, **options))
            except UsageError as error:
                raise type(error)(f"{printable(path)}, job at line {job.line}: {error}") from error
    animations = [run.outputs.animation for run in runs if run.outputs.animation is not None]
    if len(set(map(os.path.realpath, animations))) < len(animations):
        raise UsageError(f"{printable(path)}: two jobs have the same animation. Give each another name.")
    inputs: dict[str, str] = {}
    for run in runs:
        inputs |= apply.files_beside_subjects(run.planned, run.mask_files, run.settings)
    plans = mark_clashes([run.planned for run in runs], inputs)
    try:
        require_possible(plans)
    except UsageError as error:
        raise UsageError(f"{printable(path)}: {error}") from error
    protected = {*inputs, *(os.path.realpath(task.subject) for planned in plans for task in planned.tasks)}
    for run, planned in zip(runs, plans, strict=True):
        run.planned = planned
        run.outputs.protect(protected)
    return runs


def _job(defaults: Mapping[str, Any], table: dict[str, Any], index: int, where: Where, folder: Path) -> Job:
    place = ("job", index)
    values = checked(table, place, where)
    if "style" in values or "styles" in values:  # either key of a job overrides both keys of the defaults
        defaults = {key: value for key, value in defaults.items() if key not in {"style", "styles"}}
    merged = {**defaults, **values}
    if "style" in merged and "styles" in merged:
        raise where.error(place, "both style and styles. Remove one of them.")
    styles = _style_groups(merged.pop("style", None), merged.pop("styles", None))
    if not styles:
        raise where.error(place, 'no style. Add style = "NAME", or styles = ["NAME", ...] to cross with the subjects.')
    if len(set(styles)) < len(styles):
        raise where.error((*place, "styles"), "styles: a style repeats. Remove it.")
    subjects = merged.pop("subjects", None)
    if not subjects:
        raise where.error(place, 'no subjects. Add subjects = ["FOLDER", "in/*.jpg", ...].')
    output = merged.pop("output", "")
    for key, names in (("weights", {"keras", "packaged"}), ("init", {"subject", "noise"})):
        if key in merged and merged[key] not in names:
            merged[key] = str(folder / merged[key])
    if "mask" in merged:
        masks = [merged["mask"]] if isinstance(merged["mask"], str) else merged["mask"]
        regions = any("=" in text for texts in styles for text in texts)
        merged["mask"] = [style_spec.below(mask, folder, regions=regions) for mask in masks]
    line = where.line(place)
    return Job(line, styles, tuple(str(folder / subject) for subject in subjects), output, merged)


def _style_groups(style: Any, styles: Any) -> tuple[tuple[str, ...], ...]:
    """Return the values of ``--style`` for each run.

    `style` is one name, or a list for one run; `styles` is a list of those, or a table of names and weights.
    """
    if style is not None:
        return ((style,) if isinstance(style, str) else tuple(style),)
    if isinstance(styles, dict):
        return (tuple(f"{name}:{weight:g}" for name, weight in styles.items()),)
    return tuple((each,) if isinstance(each, str) else tuple(each) for each in styles or ())


def _below(root: Path, output: str, key: str = "output") -> Path:
    """Return `output` below `root`; refuse an absolute path, and one that leaves it by ``..`` or a link."""
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
            raise UsageError(
                f"{printable(path)}: {path.stat().st_size:,} bytes; a job file has at most {_MOST_BYTES:,}. Split it."
            )
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{printable(path)}: not UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except OSError as error:
        raise UsageError(f"{printable(path)}: {describe_os_error(error)}") from error
