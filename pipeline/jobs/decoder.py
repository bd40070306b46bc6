"""Decode subjects ahead in threads while the executor computes."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from stylebank.errors import StylebankError, printable

from ..execution.messages import ImageBatch, ImageResult
from .resume import PendingImage, file_stat

_THREADS = 2


class Decoder:
    """Decodes groups of subjects in order, ahead of the thread that consumes them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "stylebank-read")

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_error: object) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)

    def ahead(
        self, groups: Iterator[list[PendingImage]], count: int
    ) -> Iterator[list[tuple[PendingImage, Future[ImageResult | None]]]]:
        """Yield the images of each group, each with a future of None, or of a result with the error.

        Parameters
        ----------
        groups
            Consumed one at a time, as late as possible.
        count
            Number of groups to decode ahead.
        """
        queue: deque[list[tuple[PendingImage, Future[ImageResult | None]]]] = deque()
        while True:
            while len(queue) <= count:
                group = next(groups, None)
                if group is None:
                    break
                queue.append([(image, self._threads.submit(_decode, image)) for image in group])
            if not queue:
                return
            yield queue.popleft()


def image_batch(images: Sequence[PendingImage], *, remote: bool) -> ImageBatch:
    """Return the message with decoded images of one run, for workers in this process or elsewhere."""
    run = images[0].run
    pictures = [image.picture for image in images if image.picture is not None]
    return ImageBatch(
        tuple(image.number for image in images),
        [picture.pixels for picture in pictures],
        run.save_every if remote else None,
        [image.regions for image in images],
        eight_bit=remote and all(map(run.outputs.is_eight_bit, pictures)),
    )


def _decode(image: PendingImage) -> ImageResult | None:
    """Decode a subject; return a result with the error if that fails."""
    began = time.perf_counter()
    subject_stat = file_stat(image.task.subject)  # before it is read, so that a later change shows
    try:
        whole = image.run.load(image.task)
        picture = image.run.fitted(whole)
        image.size = image.run.size_of(whole.size)
        image.regions, mask_settings = image.run.regions_of(image.task, whole.size, image.size)
        image.picture = picture
    except StylebankError as error:
        return ImageResult(error=str(error))
    except Exception as error:
        return ImageResult(error=f"{type(error).__name__}: {printable(str(error))}. Check the file.")
    finally:
        image.seconds["decode"] = time.perf_counter() - began
    settings = {**image.entry.settings, **mask_settings}
    image.entry = dataclasses.replace(
        image.entry, subject_sha256=picture.sha256, subject_stat=subject_stat, settings=settings
    )
    return None
