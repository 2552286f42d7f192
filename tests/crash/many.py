"""As many crash states as wanted, on every core: scripts/crash-states [STATES] [SEED].

Each round is a new trace of the real daemon and a new choice of disks; rounds alternate between the daemon as
it is and one that checkpoints and makes backups all the time. Prints one line a round; exits 1 on a fault.
"""

import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from tempfile import TemporaryDirectory

from crash.morning import UNALTERED, altered, morning
from crash.states import faults, states

PAYMENTS = 60
IMAGES_PER_STEP = 6


def one_round(seed: int) -> tuple[int, list[str]]:
    """(states judged, faults) of a round; its seed repeats the choice of disks."""
    shared = Path("/dev/shm")  # noqa: S108 - a private directory is made inside
    with TemporaryDirectory(prefix="vafa-crash-", dir=shared if shared.is_dir() else None) as directory:
        log = morning(altered("hasty") if seed % 2 else UNALTERED, Path(directory), PAYMENTS)
        return faults(states(log.steps, seed, IMAGES_PER_STEP), Path(directory))


def main(states_wanted: int, seed: int) -> int:
    """Rounds until enough states were judged; the exit code."""
    judged = wrong = 0
    with ProcessPoolExecutor() as workers:
        while judged < states_wanted and not wrong:
            seeds = range(seed, seed + (os.cpu_count() or 1))
            seed = seeds.stop
            for done in as_completed([workers.submit(one_round, each) for each in seeds]):
                count, found = done.result()
                judged += count
                wrong += len(found)
                print(f"{judged} states, {wrong} faults", *found[:3], sep="\n  ", flush=True)  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    sys.exit(main(wanted, seed=int(sys.argv[2]) if len(sys.argv) > 2 else 1))
