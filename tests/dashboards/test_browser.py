"""The real server in headless Chromium: every page, both themes, no console error, no request off the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dashboards.server import POLICY
from tests.dashboards.browser import PATHS, Looker, chromium, looking, serving
from tests.dashboards.made import HOSTILE, Made

pytestmark = [
    pytest.mark.slow,  # minutes; the same pages are drawn by AppTest in test_views.py
    pytest.mark.skipif(chromium() is None, reason="no Chromium or no Playwright on this machine"),
]


@pytest.fixture(scope="module")
def url(made: Made) -> Iterator[str]:
    environment = {"DASHBOARDS_WAREHOUSE": made.warehouse, "DASHBOARDS_MLFLOW": made.store}
    with serving("dashboards", environment, "/_stcore/health") as address:
        yield address


def check(looker: Looker) -> None:
    assert looker.page.locator("[data-testid=stException]").count() == 0
    assert not looker.outside
    assert not looker.errors


def test_every_page_in_both_themes(url: str) -> None:
    """Deep links too: no probe for the backend leaves a 404 in the console."""
    for theme in ("light", "dark"):
        with looking(url, theme) as looker:
            for name, path in PATHS.items():
                seconds = looker.open(path)
                assert looker.page.locator("h1").inner_text() == name.capitalize()
                print(f"{theme} {name}: {seconds:.2f} s")
                check(looker)
            shade = looker.page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
            red, green, blue = (int(n) for n in re.findall(r"\d+", shade)[:3])
            assert (red + green + blue > 600) == (theme == "light")


def test_by_keyboard_alone(url: str) -> None:
    """Tab to a page's link, Enter; Tab to a view, Enter."""
    with looking(url, "light") as looker:
        looker.open("")
        _tab_to(looker, "Evaluation")
        looker.page.keyboard.press("Enter")
        looker.page.wait_for_selector("h1:has-text('Evaluation')")
        looker.settle()
        _tab_to(looker, "Scores")
        looker.page.keyboard.press("ArrowRight")
        looker.page.keyboard.press("Space")
        looker.page.wait_for_selector("text=chance that one of k samples is right")
        check(looker)


def _tab_to(looker: Looker, label: str) -> None:
    for _ in range(80):
        looker.page.keyboard.press("Tab")
        words = str(looker.page.evaluate("document.activeElement.innerText || ''"))
        if words.rpartition("\n")[2] == label:
            return
    raise AssertionError(f"{label} cannot be reached by Tab")


def test_strangers_texts_lead_nowhere(url: str) -> None:
    """Pages with images and scripts in their text are read whole; the browser asks nobody. And it could not."""
    with looking(url, "light") as looker:
        looker.open("evaluation")
        looker.choose("Side by side")
        looker.page.get_by_text(HOSTILE[:30]).first.wait_for()
        looker.open("training")
        looker.choose("Rollouts")
        looker.page.get_by_text(HOSTILE[:30]).first.wait_for()
        check(looker)
        answer = looker.page.request.get(url)
        assert answer.headers["content-security-policy"] == POLICY
        looker.page.evaluate("new Image().src = 'http://203.0.113.7/c.png'")
        looker.page.wait_for_timeout(300)
        assert any("Content Security Policy" in error for error in looker.errors)
