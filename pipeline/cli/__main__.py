"""``python -m pipeline.cli`` is ``stylebank``."""

from . import main

if __name__ == "__main__":  # a worker process imports this module and must not run the command again
    main()
