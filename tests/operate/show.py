"""`make operate`: what an operator relies on, with the real flows against a Prefect server on PostgreSQL.

A run from the form; a schedule that fires; a trigger that chains two flows; a run that dies with its runner and is
marked crashed; a backfill of twelve months with two planted failures (a month whose files are not there, a process that
is killed) and its resume. Ends with a table, and with code 1 where something was not as it should be.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from tests.flows.postgres import create_databases, postgres
from tests.operate.live import kill, live
from tests.operate.proofs import Proofs, say


def main() -> int:
    """The whole show; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=60, help="pages of a crawl month")
    pages = parser.parse_args().pages
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends it leaves no server behind
    with tempfile.TemporaryDirectory(prefix="rigor-operate-") as name, postgres(Path(name) / "postgres") as where:
        create_databases(where, "prefect")
        with live(Path(name) / "live", f"postgresql+asyncpg://{where}/prefect") as server:
            proofs = Proofs(Path(name), server, pages)
            failed = False
            try:
                proofs.whole()
            except Exception:  # noqa: BLE001 the table below says what stood and what did not
                failed = True
                traceback.print_exc()
                for log in sorted(server.folder.glob("*.log")):
                    print(f"--- {log.name}\n{log.read_text()[-3000:]}", file=sys.stderr)
            finally:
                if proofs.served is not None:
                    kill(proofs.served)
    print()
    for proof, (found, seconds) in proofs.found.items():
        print(f"{proof:<28} {seconds:5.0f} s  {found}")
    say("not as it should be" if failed else "all of it as it should be")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
