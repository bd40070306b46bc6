"""``python -m tests.faults NAME [--count N] [--seed S]``: the faults of README.md, each by itself or all of them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

import click

# children are forked: no library, all imported below, may have threads
os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

#: Each fault with its module and function, and its count in full.
FAULTS: Mapping[str, tuple[str, str, int]] = {
    "kills": ("kills", "run", 200),
    "bit-flips": ("damage", "bit_flips", 400),
    "truncations": ("damage", "truncations", 200),
    "metadata": ("metadata", "run", 500),
    "file-size": ("disk", "file_size", 20),
    "full-disk": ("disk", "full_disk", 20),
    "writers": ("writers", "run", 100),
    "writers-no-locks": ("writers", "without_locks", 100),
    "mutants": ("mutants", "run", 6),
    "batch-kills": ("batch_kills", "run", 20),
    "shared-folder": ("shared_folder", "run", 20),
    "many": ("many", "run", 500),
    "many-two-workers": ("many", "two_workers", 500),
    "many-real": ("many", "real", 200),
    "fuzz": ("fuzz", "run", 5000),
}


def run(name: str, count: int, seed: int) -> dict[str, object]:
    """Run one fault in a folder of its own."""
    from tests.faults import engine
    from tests.faults.harness import Fault

    engine.install()
    module, function, _count = FAULTS[name]
    fault: Fault = getattr(import_module(f"tests.faults.{module}"), function)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        result = fault(count, seed, Path(folder))
    return {
        "name": name,
        "date": time.strftime("%Y-%m-%d"),
        "count": result.count,
        "seed": seed,
        "seconds": round(time.monotonic() - started, 1),
        "findings": result.findings,
        "tallies": dict(result.tallies),
    }


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True, type=click.Choice([*FAULTS, "all"]))
@click.option("--count", type=click.IntRange(1), help="Number of trials.  [default: as in README.md]")
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each fault.")
def main(names: tuple[str, ...], count: int | None, seed: int, as_json: bool) -> None:
    """Run faults, and print date, count and result of each. The exit code is 1 if a promise is broken."""
    broken = False
    for name in FAULTS if "all" in names else names:
        outcome = run(name, count or FAULTS[name][2], seed)
        findings = outcome["findings"]
        assert isinstance(findings, list)
        broken |= bool(findings)
        if as_json:
            click.echo(json.dumps(outcome))
            continue
        tallies = outcome["tallies"]
        assert isinstance(tallies, dict)
        kinds = ", ".join(f"{number} {kind}" for kind, number in sorted(tallies.items()))
        verdict = f"{len(findings)} BROKEN" if findings else "all kept"
        click.echo(f"{outcome['date']} {name}: {outcome['count']} ({kinds}), {verdict}, {outcome['seconds']} s")
        for finding in findings[:20]:
            click.echo(f"  {finding[:600]}")
    sys.exit(broken)


if __name__ == "__main__":
    main()
