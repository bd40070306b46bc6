"""Plan a run and check it before any image is computed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stylebank import images
from stylebank.bank import Bank
from stylebank.errors import UsageError

from ..settings import ON_EXISTING, SynthesisSettings, synthesis_settings
from ..synthesis.proof import require_single
from .mask_files import MaskFiles
from .naming import SETTING_FIELDS, proof_path, setting_fields
from .plan import Plan, mark_clashes, plan
from .record_index import Records
from .run import Run
from .style_spec import parse
from .subjects import Ignored


def prepare(
    bank: Bank,
    style: str | Sequence[str],
    subjects: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    mask: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    preset: str | None = None,
    preset_name: str | None = None,
    name_template: str | None = None,
    overwrite: bool = False,
    on_existing: str | None = None,
    checksum: bool = False,
    retry_failed: bool = False,
    recursive: bool = False,
    weights: str | Path | None = None,
    allow_unknown_weights: bool = False,
    max_pixels: int = images.MAX_PIXELS,
    save_every: int | None = None,
    animation: str | os.PathLike[str] | None = None,
    records: Records | None = None,
    output_folders: Iterable[str | os.PathLike[str]] = (),
    **settings: Any,
) -> Run:
    """Plan a run and check it before any image is computed.

    Parameters
    ----------
    bank, style
        The bank and the name of a style; or several names, with weights for their barycenter
        (``["a:0.6", "b:0.4"]``) or by region (``["sky=a", "rest=b"]``).
    mask
        Path of the mask of the style, with ``{subject}`` for the subject's name; with regions, ``REGION=FILE``
        for all of them but one.
    subjects, output, recursive
        As for `plan.plan`.
    preset : {"draft", "standard", "fine", "original"}, optional
        A set of settings. A setting that is passed beside it overrides it. `presets.prepare` takes those of the
        user, too.
    preset_name
        Name of the preset in the names of outputs. The default is `preset`.
    name_template
        Names of the outputs, as for `plan.plan`.
    overwrite
        Compute images again that are complete.
    on_existing : {"number", "skip", "fail", "overwrite"}, optional
        What happens to an output that exists and is another picture, such as one with other settings: the new one
        gets a number (``photo.monet-2.jpg``), nothing is computed in its place, the run fails before it computes
        anything, or the output is replaced. The default is ``number``, and ``fail`` if `output` is a file.
    checksum
        Read subjects and outputs to compare them with the record, instead of trusting size and time of change.
    retry_failed
        Only compute images whose last line in the record is a failure.
    weights, allow_unknown_weights
        Weights of the network, as for `weights.matching`.
    max_pixels
        Largest number of pixels of a subject.
    save_every
        Save a snapshot every `save_every` steps, in a folder beside the output.
    animation
        Path of a ``.gif`` or ``.webp`` of the steps, for one subject.
    records, output_folders
        As for `plan.plan`.
    **settings
        Fields of `SynthesisSettings`.

    Raises
    ------
    StylebankError
    """
    style_spec = parse(
        [style] if isinstance(style, str) else style,
        [os.fspath(each) for each in ([mask] if isinstance(mask, str | os.PathLike) else mask)],
        exists=bank.__contains__,
    )
    if on_existing is not None and on_existing not in ON_EXISTING:
        raise UsageError(f"on_existing {on_existing!r}: expected one of {', '.join(ON_EXISTING)}.")
    records = records or Records()
    named = {key: value for key, value in settings.items() if key in {*SETTING_FIELDS, "print", "dpi"}}
    planned = plan(
        subjects,
        style_spec.label,
        output,
        recorded_style=style_spec.text,
        format=settings.pop("format", None),
        recursive=recursive,
        name_template=name_template,
        fields=setting_fields(synthesis_settings(preset, **named), preset_name or preset),
        records=records,
        output_folders=output_folders,
    )
    chosen_settings = synthesis_settings(preset, format=planned.format, **settings)
    if chosen_settings.proof is not None:
        require_single(save_every, animation)
        tasks = (replace(task, output=proof_path(task.output)) for task in planned.tasks)
        planned = replace(planned, tasks=tuple(tasks))
    if save_every is not None and save_every < 1:
        raise UsageError(f"save_every {save_every}: expected 1 or more.")
    mask_files = MaskFiles(style_spec, max_pixels)
    planned = _without_masks(planned, mask_files)
    inputs = files_beside_subjects(planned, mask_files, chosen_settings)
    (planned,) = mark_clashes([planned], inputs)
    run = Run(
        bank,
        style_spec,
        planned,
        chosen_settings,
        max_pixels,
        save_every,
        overwrite,
        mask_files,
        on_existing=on_existing or ("fail" if planned.template is None else "number"),
        checksum=checksum,
        records=records,
    )
    if retry_failed:
        run.retry_failed()
    run.check_style(preset, weights, allow_unknown_weights)
    run.outputs.protect(inputs)
    run.outputs.check_animation(animation)
    return run


def files_beside_subjects(planned: Plan, mask_files: MaskFiles, settings: SynthesisSettings) -> dict[str, str]:
    """Return descriptions of the masks and of the start picture, by real path."""
    files = dict.fromkeys(mask_files.paths(task.subject for task in planned.tasks), "a mask")
    if settings.init not in {"subject", "noise"}:
        files[os.path.realpath(settings.init)] = "the start picture of --init"
    return files


def _without_masks(planned: Plan, mask_files: MaskFiles) -> Plan:
    """Return the plan without the masks among its subjects.

    Raises
    ------
    UsageError
    """
    masks = mask_files.paths(task.subject for task in planned.tasks)
    if not masks:
        return planned
    tasks = tuple(task for task in planned.tasks if os.path.realpath(task.subject) not in masks)
    if not tasks:
        raise UsageError("all subjects are masks. Give the images they belong to.")
    left = [Ignored(task.subject, "a mask") for task in planned.tasks if os.path.realpath(task.subject) in masks]
    return replace(planned, tasks=tasks, ignored=(*planned.ignored, *left))
