"""``python -m pipeline.cli`` is ``stylebank``."""

from . import main

main()
