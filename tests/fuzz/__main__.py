"""The command line: `python -m tests.fuzz NAME --minutes N`."""

from __future__ import annotations

import argparse
import time

from tests.fuzz.harness import NAMES, generator, run_for


def main() -> None:
    """Run one generator for some minutes; a failure ends it with the shortest program that shows it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=None, help="where to begin; by default it differs each time")
    chosen = parser.parse_args()
    seed = int(time.time()) % 10**8 if chosen.seed is None else chosen.seed
    print(f"{chosen.name}: from seed {seed}", flush=True)
    checked = run_for(generator(chosen.name), chosen.minutes, seed)
    print(f"{chosen.name}: {checked} cases, no failure")


if __name__ == "__main__":
    main()
