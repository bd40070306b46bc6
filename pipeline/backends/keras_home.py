"""The folder that Keras keeps its settings and downloads in."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def keras_home_variables() -> dict[str, str]:
    """Return ``KERAS_HOME`` where Keras and TensorFlow would create a folder named ``~``; an empty dict elsewhere.

    Both take ``~`` literally where the user has no home folder, as in a container with an unknown user or under
    a service manager, and in a ``KERAS_HOME`` that no shell has expanded. Then a folder of the user among the
    temporary files is taken.
    """
    wanted = os.environ.get("KERAS_HOME") or "~"
    path = os.path.expanduser(wanted)  # noqa: PTH111 - Path.expanduser raises without a home
    if path.startswith("~"):
        user = os.getuid() if hasattr(os, "getuid") else ""
        return {"KERAS_HOME": str(Path(tempfile.gettempdir(), f"keras-{user}"))}
    return {"KERAS_HOME": path} if path != wanted and wanted != "~" else {}
