"""Plan of a run: find the subjects, name the outputs, mark those that clash."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stylebank.errors import UsageError, printable
from stylebank.images import READ_SUFFIXES, WRITE_FORMATS, format_of, kinds

from ..settings import synthesis_settings
from .finished import FinishedOutputs
from .naming import DEFAULT_TEMPLATE, check_template, output_key, output_path, setting_fields, too_long
from .record_index import Records
from .subjects import Ignored, Subject, SubjectSearch, ignored_line, is_folder


@dataclass(frozen=True)
class Task:
    """One subject and its output.

    Attributes
    ----------
    subject, output
    problem : str or None
        Reason why the output cannot be written, such as a clash of names. The task then fails without any work.
    """

    subject: Path
    output: Path
    problem: str | None = None


@dataclass(frozen=True)
class Plan:
    """All tasks of a run.

    Attributes
    ----------
    folder
        Folder of the outputs and the record.
    tasks
        In the order of the arguments; within a folder, by name.
    format
        Format of the outputs.
    ignored
        Files that are not subjects, such as pictures of kinds that are not read, and system folders.
    template : str or None
        Template of the outputs' names; None for the output file of one subject.
    """

    folder: Path
    tasks: tuple[Task, ...]
    format: str
    ignored: tuple[Ignored, ...]
    template: str | None = None


def plan(
    subjects: Sequence[str | os.PathLike[str]],
    style: str,
    output: str | os.PathLike[str] | None = None,
    *,
    format: str | None = None,
    recursive: bool = False,
    name_template: str | None = None,
    fields: Mapping[str, str] | None = None,
    recorded_style: str | None = None,
    records: Records | None = None,
    output_folders: Iterable[str | os.PathLike[str]] = (),
) -> Plan:
    """Find the subjects and name the outputs. `mark_clashes` then compares the outputs.

    Parameters
    ----------
    subjects
        Files, folders, and patterns such as ``in/*.jpg``. A folder stands for the images in it, and with
        `recursive` for those below it, which keep their subfolders in `output`. A folder that cannot be listed
        is a task with a problem.
    style
        Name of the style in the names of the outputs.
    output
        A folder, created if it is missing, or the output file of one subject. The default is the working
        folder.
    format
        Format of the outputs. The suffix of an output file decides it too.
    name_template
        Template of the outputs' names without suffix, as for `naming.check_template`. The default is
        `naming.DEFAULT_TEMPLATE`.
    fields
        Values of the template's other fields, as `naming.setting_fields` returns them.
    recorded_style
        Name of the style in the record. The default is `style`.
    records
        Records that the command has read.
    output_folders
        Output folders of all jobs of a file; a search for subjects that comes to one leaves it out.

    Returns
    -------
    Plan

    Raises
    ------
    UsageError
        If there is no image, the format cannot be written, or the template is wrong.
    """
    template = check_template(DEFAULT_TEMPLATE if name_template is None else name_template)
    for path in (*subjects, *([] if output is None else [output])):
        if "\0" in os.fspath(path):
            raise UsageError(f"{printable(path)}: no file name contains a NUL character. Leave it out.")
    target = Path(output) if output is not None else Path()
    picture_suffixes = READ_SUFFIXES | kinds.SUFFIXES.keys()
    single = output is not None and not is_folder(target) and target.suffix.lower() in picture_suffixes
    if not single and os.path.lexists(target) and not is_folder(target):
        raise UsageError(
            f"{printable(target)}: an existing file without the suffix of an image. "
            "Give --output a folder, or a file such as out.jpg."
        )
    folder = target.parent if single else target
    if single and name_template is not None:
        raise UsageError(f"{printable(target)}: both --output and a name template name the file. Give one of them.")
    if single:
        suffix_format = format_of(target)
        if format not in (None, suffix_format):
            raise UsageError(
                f"{printable(target)}: {suffix_format} by its name, {format} by --format. Give one of them."
            )
        format = suffix_format
    format = format or "jpg"
    finished = FinishedOutputs(folder, recorded_style or style, records or Records(), output_folders)
    search = SubjectSearch(recursive, finished)
    for argument in subjects:
        search.add(argument)
    if not search.subjects:
        raise _no_image(subjects, recursive, search.ignored)
    count = sum(subject.problem is None for subject in search.subjects)
    if single and count > 1:
        raise UsageError(f"{printable(target)}: one file cannot hold {count} images. Give --output a folder.")
    if format not in WRITE_FORMATS:
        raise UsageError(f"format {format!r}: expected one of {', '.join(WRITE_FORMATS)}.")
    suffix = WRITE_FORMATS[format][1]
    fields = {**(setting_fields(synthesis_settings()) if fields is None else fields), "style": style}

    def task(subject: Subject) -> Task:
        parent = folder / subject.below
        if subject.problem is not None or single:
            return Task(subject.path, parent if subject.problem else target, subject.problem)
        values = {**fields, "subject": subject.path.stem, "suffix": subject.path.suffix[1:].lower() or "none"}
        try:
            return Task(subject.path, parent / output_path(template, suffix, values))
        except UsageError as error:
            return Task(subject.path, parent, str(error))

    tasks = tuple(task(subject) for subject in search.subjects)
    return Plan(folder, tasks, format, tuple(search.ignored), None if single else template)


def _no_image(subjects: Sequence[str | os.PathLike[str]], recursive: bool, ignored: Sequence[Ignored]) -> UsageError:
    names = ", ".join(printable(argument) for argument in subjects)
    if any(each.is_picture for each in ignored):
        hint = "Convert them first, for example to JPEG."
    elif not recursive and not ignored:
        hint = "Add --recursive to look in the folders below."
    else:
        hint = "Give images, folders of images, or patterns."
    left_out = f"; {ignored_line(ignored)}" if ignored else ""
    return UsageError(f"{names}: no image found{left_out}. {hint}")


def mark_clashes(plans: Sequence[Plan], inputs: Mapping[str, str] | None = None) -> list[Plan]:
    """Return the plans with a problem in each task whose output cannot be written.

    An output name is too long, or belongs to an earlier task, or is one of the files that the runs read.

    Parameters
    ----------
    plans
        Plans of the runs that are executed together, in order.
    inputs
        Descriptions, such as ``a mask``, of files beside the subjects that are never overwritten, by real path.
    """
    files = {os.path.realpath(task.subject): task for planned in plans for task in planned.tasks}
    protected = {path: f"the subject {printable(task.subject)}" for path, task in files.items()} | dict(inputs or {})
    by_key = {output_key(path): path for path in protected}
    owners: dict[str, tuple[Plan, Task]] = {}

    def problem(planned: Plan, task: Task) -> str | None:
        if task.problem is not None:
            return task.problem
        reason = too_long(task.output)
        if reason is not None:
            if planned.template is None:
                return f"{reason} Give --output a shorter name."
            return f"{reason} Give the subject or the style a shorter name, or another --name-template."
        path = os.path.realpath(task.output)
        key = output_key(path)
        if path not in protected and _same_file(path, by_key.get(key)):
            path = by_key[key]
        if path in protected:
            return (
                f"{printable(task.output)} is {protected[path]}: a picture that is read is never overwritten. "
                "Give another --output."
            )
        owner = owners.setdefault(key, (planned, task))
        if owner[1] is task:
            return None
        return (
            f"{printable(owner[1].subject)} and {printable(task.subject)} have the same output "
            f"{printable(task.output)}: an output holds one picture, the first. {_advice(*owner, planned, task)}"
        )

    return [
        replace(planned, tasks=tuple(replace(task, problem=problem(planned, task)) for task in planned.tasks))
        for planned in plans
    ]


def _same_file(path: str, other: str | None) -> bool:
    """Return whether two paths that differ in case or accents are one file, as on macOS and Windows."""
    try:
        return other is not None and Path(path).samefile(other)
    except OSError:
        return False


def _advice(first_plan: Plan, first: Task, planned: Plan, task: Task) -> str:
    template = planned.template or ""
    if planned is not first_plan:
        style = "" if "{style}" in template or not template else "Put {style} into --name-template, or give"
        return f"{style or 'Give'} each job an output folder."
    if "{subject}" not in template:
        return "Put {subject} into --name-template."
    if "{suffix}" not in template and first.subject.suffix.lower() != task.subject.suffix.lower():
        return "Add {suffix} to --name-template."
    return "Rename one, or write them into different folders."


def require_possible(plans: Sequence[Plan]) -> None:
    """Refuse runs without any output that can be written.

    Raises
    ------
    UsageError
        The first problem, if every task has one.
    """
    tasks = [task for planned in plans for task in planned.tasks]
    problems = [task.problem for task in tasks if task.problem is not None]
    if problems and len(problems) == len(tasks):
        raise UsageError(problems[0])
