"""A process that has imported everything and forks a small mine for each line of its standard input.

`python -m tests.crash.mine_once`: reads a warehouse's folder, answers the child's process id, and, when the child has
ended, its exit status. The child leads a process group of its own, cleans nothing up and may be killed at any moment.
"""

from __future__ import annotations

import os
import sys
import traceback

from flows.settings import Settings

CRAWL = os.environ.get("RIGOR_CRASH_CRAWL", "")
SMALL = {
    "paths": [f"{CRAWL}/crawl"],
    "positives": [f"{CRAWL}/seeds/positives.jsonl"],
    "negatives": [f"{CRAWL}/seeds/negatives.jsonl"],
    "benchmarks": [f"{CRAWL}/benchmarks/contest.jsonl"],
    "max_rounds": 2,
    "train_classifier": {"dim": 8, "buckets": 2000, "cut": "f1", "epochs": 2},
}


def main() -> None:
    """Fork a mine for each line read."""
    Settings().apply()
    from flows.mine import MineConfig, mine

    config = MineConfig.model_validate(SMALL)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setsid()
            os.environ["RIGOR_WAREHOUSE"] = line.strip()
            try:
                mine(config)
            except BaseException:  # noqa: BLE001 the child must end here, and its parent must see that it failed
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
