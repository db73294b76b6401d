"""Headless Chromium over the real server: starts it, opens pages, waits until they stand, and notes what went wrong."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS = 300.0
STAND_MS = 240_000
"""Generous: the machine may be shared."""
NOISE = ("No script tag of type",)
"""Graphviz in the browser says that it runs without a web worker."""
PATHS = {"pipeline": "", "data": "data", "training": "training", "evaluation": "evaluation", "lineage": "lineage",
         "cost": "cost", "ask": "ask"}  # fmt: skip


def chromium() -> str | None:
    """The browser of this machine, if it has one that Playwright can drive."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return None
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(module: str, environment: dict[str, str], health: str, *options: str) -> Iterator[str]:
    """A server (`python -m module`) on a free port; its address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([sys.executable, "-m", module, *options, "--port", str(port)],
                              env={**os.environ, **environment})  # fmt: skip
    try:
        end = time.monotonic() + START_SECONDS
        while not _answers(f"{url}{health}"):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{module} did not come up")
            time.sleep(0.3)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@dataclass
class Looker:
    """A browser page with its log."""

    page: Page
    url: str
    outside: list[str] = field(default_factory=list)
    """Requests to any address but the server's."""
    errors: list[str] = field(default_factory=list)
    """The console's errors and warnings, and exceptions of scripts."""

    def __post_init__(self) -> None:
        """Listen."""
        self.page.set_default_timeout(STAND_MS)
        self.page.on("request", self._asked)
        self.page.on("console", lambda m: self._said(m.type, m.text))
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))

    def _asked(self, request: Request) -> None:
        here = (self.url, self.url.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(here):
            self.outside.append(request.url)

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(NOISE):
            self.errors.append(text)

    def open(self, path: str) -> float:
        """Go to a page and wait until it stands; returns the seconds that took."""
        started = time.perf_counter()
        self.page.goto(f"{self.url}/{path}")
        self.page.wait_for_selector("h1")
        self.settle()
        return time.perf_counter() - started

    def settle(self) -> None:
        """Wait until the script has ended and everything is drawn."""
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        self.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")

    def choose(self, name: str) -> None:
        """Press a button or one of a row of buttons."""
        self.page.get_by_role("button", name=name, exact=True).or_(
            self.page.get_by_role("radio", name=name, exact=True)
        ).first.click()
        self.page.wait_for_timeout(300)
        self.settle()

    def screenshot(self, path: str, highest: int = 2400) -> None:
        """The whole page, as high as it is."""
        height = int(self.page.evaluate("document.querySelector('[data-testid=stMainBlockContainer]').scrollHeight"))
        self.page.set_viewport_size({"width": 1440, "height": min(max(height, 700), highest)})
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=path)
        self.page.set_viewport_size({"width": 1440, "height": 900})


@contextmanager
def looking(url: str, theme: str) -> Iterator[Looker]:
    """A browser on the server, in the light or the dark theme."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        context = browser.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme="dark" if theme == "dark" else "light"
        )
        try:
            yield Looker(context.new_page(), url)
        finally:
            browser.close()
