"""Job files: many runs in one TOML file with a strict schema. Errors name the line."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylebank.bank import Bank
from stylebank.errors import UsageError, printable

from ..execution import batching, executors
from ..print_sizes import overridden
from . import apply, style_spec
from .events import Listener
from .job_schema import Where, checked, unknown
from .record import Entry
from .record_index import Records
from .run import Run
from .subject_lists import read_list
from .together import check_together
from .toml_file import read_toml
from .user_paths import expand_user, put_files_below


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
        Files, folders and patterns. Relative paths start from the folder of the job file. It is empty if a list is.
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
    text, content = read_toml(path)
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
    on_existing: str | None = None,
    checksum: bool = False,
    retry_failed: bool = False,
    jobs: int | None = None,
    devices: Sequence[str | int] = (),
    cluster: str | None = None,
    device: str | None = None,
    deterministic: bool = False,
    batch_size: str | int = batching.AUTO,
    fail_fast: bool = False,
    on_error: str = "raise",
    listener: Listener = lambda progress: None,
) -> list[Entry]:
    """Compute the images of a job file.

    Parameters
    ----------
    bank, path, output, overwrite, on_existing, checksum, retry_failed
        As for `prepare`.
    jobs, devices, cluster, device, deterministic, batch_size, fail_fast, on_error, listener
        As for `apply.apply`.

    Returns
    -------
    list of Entry
        One per image, as written to the records in the output folders.

    Raises
    ------
    StylebankError
        As `apply.apply` does.
    """
    apply.check_on_error(on_error)
    runs = prepare(
        bank,
        path,
        output,
        overwrite=overwrite,
        on_existing=on_existing,
        checksum=checksum,
        retry_failed=retry_failed,
    )
    executor = executors.make_executor(jobs, devices, cluster, device, deterministic)
    entries = apply.execute(runs, executor, batch_size=batch_size, fail_fast=fail_fast, listener=listener)
    return apply.raise_failures(entries) if on_error == "raise" else entries


def prepare(
    bank: Bank,
    path: str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    on_existing: str | None = None,
    checksum: bool = False,
    retry_failed: bool = False,
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
    on_existing, checksum, retry_failed
        As for `apply.prepare`, whatever the jobs say.

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
    jobs = read(path)
    chosen = {"overwrite": overwrite, "on_existing": on_existing, "checksum": checksum, "retry_failed": retry_failed}
    shared = {"records": Records(), "output_folders": [root / job.output for job in jobs]}
    for job in jobs:
        for style in job.styles if job.subjects else ():
            try:
                target = _below(root, job.output)
                options = {**job.options, **{key: value for key, value in chosen.items() if value}, **shared}
                if "animation" in options:
                    options["animation"] = _below(root, options["animation"], "animation")
                runs.append(apply.prepare(bank, list(style), job.subjects, target, **options))
            except UsageError as error:
                raise type(error)(f"{printable(path)}, job at line {job.line}: {error}") from error
    animations = [run.outputs.animation for run in runs if run.outputs.animation is not None]
    if len(set(map(os.path.realpath, animations))) < len(animations):
        raise UsageError(f"{printable(path)}: two jobs have the same animation. Give each another name.")
    try:
        check_together(runs)
    except UsageError as error:
        raise UsageError(f"{printable(path)}: {error}") from error
    return runs


def _job(defaults: Mapping[str, Any], table: dict[str, Any], index: int, where: Where, folder: Path) -> Job:
    place = ("job", index)
    values = checked(table, place, where)
    if "style" in values or "styles" in values:  # either key of a job overrides both keys of the defaults
        defaults = {key: value for key, value in defaults.items() if key not in {"style", "styles"}}
    merged = overridden(defaults, values)
    if "style" in merged and "styles" in merged:
        raise where.error(place, "both style and styles. Remove one of them.")
    styles = _style_groups(merged.pop("style", None), merged.pop("styles", None))
    if not styles:
        raise where.error(place, 'no style. Add style = "NAME", or styles = ["NAME", ...] to cross with the subjects.')
    if len(set(styles)) < len(styles):
        raise where.error((*place, "styles"), "styles: a style repeats. Remove it.")
    subjects = _subjects(merged, where, place, folder)
    output = merged.pop("output", "")
    put_files_below(merged, folder)
    if "mask" in merged:
        masks = [merged["mask"]] if isinstance(merged["mask"], str) else merged["mask"]
        regions = any("=" in text for texts in styles for text in texts)
        merged["mask"] = [style_spec.below(mask, folder, regions=regions) for mask in masks]
    return Job(where.line(place), styles, subjects, output, merged)


def _subjects(values: dict[str, Any], where: Where, place: tuple[str | int, ...], folder: Path) -> tuple[str, ...]:
    """Take the subjects and their lists out of a job's values; all paths start from `folder`."""
    subjects, lists = values.pop("subjects", None), values.pop("subjects_from", None)
    if not subjects and not lists:
        text = 'Add subjects = ["FOLDER", "in/*.jpg", ...], or subjects_from = "LIST.txt".'
        raise where.error(place, f"no subjects. {text}")
    files = [lists] if isinstance(lists, str) else lists or ()
    try:
        listed = [path for file in files for path in read_list(folder / expand_user(file), folder=folder)]
    except UsageError as error:
        raise where.error((*place, "subjects_from"), f"subjects_from: {error}") from error
    return (*(str(folder / expand_user(each)) for each in subjects or ()), *listed)


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
    output = expand_user(output)
    target = root / output
    inside, outside = os.path.realpath(target), os.path.realpath(root)
    if Path(output).is_absolute() or os.path.commonpath([inside, outside]) != outside:
        raise UsageError(
            f"{key} {printable(output)}: leads out of the output folder {printable(outside)}. "
            f"Name a {'folder' if key == 'output' else 'file'} below it, or give another --output."
        )
    return target
