"""`make screenshots`: pictures of every page over the home of the settings (RIGOR_HOME), for docs/screenshots.

    python -m tests.dashboards.screenshots [FOLDER] [--only NAME]

Prints how long each page took and what the console said; ends with 1 if a page asked anyone off this machine, or if the
console had anything to say.
Chinese prompts need a font with their signs (Debian: fonts-wqy-microhei).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from flows.services import dashboard_environment
from flows.settings import Settings
from tests.dashboards.browser import Looker, chromium, looking, serving

Steps = Callable[[Looker], None]
PROBLEM = "7 + 6 + 12 + 9"


def _nothing(_: Looker) -> None:
    """The page as it opens."""


def _view(name: str) -> Steps:
    return lambda looker: looker.choose(name)


def _ask(looker: Looker) -> None:
    looker.page.get_by_label("Problem").fill(PROBLEM)
    looker.page.keyboard.press("Tab")
    looker.choose("Ask")
    looker.page.wait_for_selector("text=tokens in")
    looker.settle()


def _follow(looker: Looker) -> None:
    """From a score to one answer, and to the model that gave it."""
    for _ in range(2):
        looker.page.locator("[class*=st-key-up-] button").first.click()
        looker.page.wait_for_timeout(500)
        looker.settle()


SHOTS: tuple[tuple[str, str, str, Steps], ...] = (
    ("pipeline", "", "light", _nothing),
    ("pipeline-dark", "", "dark", _nothing),
    ("data", "data", "light", _view("Distributions")),
    ("data-rejected", "data", "light", _view("Rejected rows")),
    ("data-domains", "data", "light", _view("Domains")),
    ("training", "training", "light", _nothing),
    ("training-router", "training", "light", _view("Router load")),
    ("training-rewards", "training", "dark", _view("Rewards and length")),
    ("training-rollouts", "training", "light", _view("Rollouts")),
    ("evaluation", "evaluation", "light", _nothing),
    ("evaluation-pass-at-k", "evaluation", "light", _view("pass@k")),
    ("evaluation-samples", "evaluation", "light", _view("Samples")),
    ("evaluation-side-by-side", "evaluation", "dark", _view("Side by side")),
    ("lineage", "lineage", "light", _follow),
    ("cost", "cost", "light", _nothing),
    ("ask", "ask", "light", _ask),
    ("ask-dark", "ask", "dark", _ask),
)
"""Name, page, theme, and what is done before the picture is taken."""


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description="Screenshots of the dashboards.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/screenshots"))
    parser.add_argument("--only", default="", help="names that begin with this")
    arguments = parser.parse_args()
    if chromium() is None:
        sys.exit("no Chromium or no Playwright on this machine")
    settings, wrong = Settings(), list[str]()
    wanted = [shot for shot in SHOTS if shot[0].startswith(arguments.only)]
    with serving("flows.ask_server", {}, "/models") as ask:
        environment = dashboard_environment(settings, "", "", ask)
        with serving("dashboards", environment, "/_stcore/health") as url:
            for name, path, theme, steps in wanted:
                with looking(url, theme) as looker:
                    seconds = looker.open(path)
                    steps(looker)
                    looker.screenshot(str(arguments.folder / f"dashboard-{name}.png"))
                    print(f"{name:<24} {seconds:5.2f} s  {looker.errors or ''}", flush=True)
                    wrong += [*looker.errors, *(f"a request off this machine: {url}" for url in looker.outside)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
