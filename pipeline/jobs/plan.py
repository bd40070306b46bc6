"""Plan of a run: find the subjects, name the outputs, refuse clashes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stylebank.errors import UsageError, printable
from stylebank.images import READ_SUFFIXES, WRITE_FORMATS, format_of

from .naming import DEFAULT_TEMPLATE, check_template, output_path
from .subjects import FinishedOutputs, expand

_LONGEST_FILE_NAME = 255


@dataclass(frozen=True)
class Task:
    """One subject and its output."""

    subject: Path
    output: Path


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
        Files that are not subjects: not images by their names, or outputs of an earlier run.
    """

    folder: Path
    tasks: tuple[Task, ...]
    format: str
    ignored: tuple[Path, ...]


def plan(
    subjects: Sequence[str | os.PathLike[str]],
    style: str,
    output: str | os.PathLike[str] | None = None,
    *,
    format: str | None = None,
    recursive: bool = False,
    name_template: str | None = None,
    size: int | None = None,
    preset: str | None = None,
    recorded_style: str | None = None,
) -> Plan:
    """Find the subjects and name the outputs.

    Parameters
    ----------
    subjects
        Files, folders, and patterns such as ``in/*.jpg``. A folder stands for the images in it, and with
        `recursive` for those below it, which keep their subfolders in `output`.
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
    size, preset
        Values of the template's fields; 0 is ``own`` and None is ``standard``.
    recorded_style
        Name of the style in the record. The default is `style`.

    Returns
    -------
    Plan

    Raises
    ------
    UsageError
        If there is no image, two subjects have the same output, an output would overwrite a subject, the
        format cannot be written, or the template is wrong.
    """
    template = check_template(DEFAULT_TEMPLATE if name_template is None else name_template)
    target = Path(output) if output is not None else Path()
    single = output is not None and not target.is_dir() and target.suffix.lower() in READ_SUFFIXES
    if not single and target.exists() and not target.is_dir():
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
    finished = FinishedOutputs(folder, recorded_style or style)
    subject_paths: list[tuple[Path, Path]] = []
    ignored: list[Path] = []
    for argument in subjects:
        subject_paths += expand(argument, recursive, finished, ignored)
    subject_paths = list({os.path.abspath(subject): (subject, below) for subject, below in subject_paths}.values())
    if not subject_paths:
        names = ", ".join(printable(argument) for argument in subjects)
        hint = " Add --recursive to look in the folders below." if not recursive and ignored == [] else ""
        raise UsageError(f"{names}: no image found.{hint or ' Give images, folders of images, or patterns.'}")
    if single and len(subject_paths) > 1:
        raise UsageError(
            f"{printable(target)}: one file cannot hold {len(subject_paths)} images. Give --output a folder."
        )
    if format not in WRITE_FORMATS:
        raise UsageError(f"format {format!r}: expected one of {', '.join(WRITE_FORMATS)}.")
    suffix = WRITE_FORMATS[format][1]
    shared = {"style": style, "size": str(size or "own"), "preset": preset or "standard"}
    tasks = [
        Task(
            subject,
            target if single else folder / below / output_path(template, suffix, {**shared, "subject": subject.stem}),
        )
        for subject, below in subject_paths
    ]
    refuse_clashes(tasks, "{subject}" in template)
    return Plan(folder, tuple(tasks), format, tuple(ignored))


def refuse_clashes(tasks: Sequence[Task], with_subject: bool = True) -> None:
    """Refuse plans that would overwrite a file.

    Raises
    ------
    UsageError
        If an output is a subject, two outputs are the same file, or a name is too long.
    """
    advice = "Rename one, or write them into different folders."
    if not with_subject:
        advice = "Put {subject} into --name-template."
    subjects = {os.path.realpath(task.subject): task.subject for task in tasks}
    outputs: dict[str, Path] = {}
    for task in tasks:
        if len(os.fsencode(task.output.name)) > _LONGEST_FILE_NAME:
            raise UsageError(
                f"{printable(task.output.name)}: a file name of {len(os.fsencode(task.output.name))} bytes; at most "
                f"{_LONGEST_FILE_NAME} are possible. Give --output a file, or the style a shorter name."
            )
        key = os.path.realpath(task.output)
        if key in subjects:
            raise UsageError(
                f"{printable(task.output)}: this output is the subject {printable(subjects[key])}. "
                "Give another --output."
            )
        if key.casefold() in outputs:
            raise UsageError(
                f"{printable(outputs[key.casefold()])} and {printable(task.subject)} have the same output "
                f"{printable(task.output)}. {advice}"
            )
        outputs[key.casefold()] = task.subject
