"""The pages as an ASGI app that a browser cannot be led out of.

Streamlit's own server, with three things around it. A Content-Security-Policy lets the browser talk to this address
alone, whatever a crawled page or a model's answer may hold. The start page tells the frontend where the backend is;
else it would first try one place too deep for every address such as /data, and log two 404s. And the frontend's hundred
files come from memory: from disk, in pieces by threads, they took as long as a page's own work.
"""

from __future__ import annotations

from functools import cache
from mimetypes import guess_type
from pathlib import Path

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config, file_util
from streamlit.starlette import App

HOST = "127.0.0.1"
POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Vega compiles its expressions
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        f"connect-src 'self' ws://{HOST}:* data: blob:",
        "frame-ancestors 'none'",
        "form-action 'self'",
    )
)
OPTIONS: dict[str, str | bool | int] = {
    # Given here and not in a config.toml, so that no file in the user's folder turns telemetry on.
    "browser.gatherUsageStats": False,
    "server.address": HOST,
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.showEmailPrompt": False,
    "server.allowedHosts": [HOST, "localhost"],  # type: ignore[dict-item]
    "client.toolbarMode": "minimal",
    "client.showErrorLinks": False,
    "client.showErrorDetails": "stacktrace",
    "theme.light.primaryColor": "#2a6ca8",
    "theme.light.linkColor": "#1f5c94",
    "theme.light.textColor": "#1f2430",
    "theme.dark.primaryColor": "#5aa2e0",
    "theme.dark.linkColor": "#8cc0ee",
    "theme.dark.textColor": "#f2f3f5",
    "theme.baseFontSize": 15,
    "theme.headingFontSizes": ["2rem", "1.45rem", "1.2rem", "1.05rem", "1rem", "0.9rem"],  # type: ignore[dict-item]
}
PAGES = ("data", "training", "evaluation", "lineage", "cost", "ask")
_MARK = "window.prerenderReady = false"
_WHERE = _MARK + '; window.__streamlit = { BACKEND_BASE_URL: window.location.origin + "/" }'


class Fence:
    """Middleware: the policy on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Around `app`."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; answers get the headers."""

        async def fenced(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", ()), *policy]}
            await send(message)

        await self.app(scope, receive, fenced)


class Memory:
    """Middleware: the frontend's scripts, styles and fonts, each read once; their names hold a hash of the content."""

    def __init__(self, app: ASGIApp) -> None:
        """Before `app`, which has all other addresses."""
        folder = Path(file_util.get_static_dir())
        self.app = app
        self.files = {f"/{path.relative_to(folder)}": path for path in folder.glob("static/**/*") if path.is_file()}
        self.read = cache(Path.read_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is asked for a file."""
        path = self.files.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if path is None:
            await self.app(scope, receive, send)
            return
        headers = {"cache-control": "public, immutable, max-age=31536000"}
        await Response(self.read(path), headers=headers, media_type=guess_type(path.name)[0])(scope, receive, send)


def make_app(port: int) -> App:
    """The app, its options set.

    Raises:
        RuntimeError: this Streamlit's start page is another one than this was written for.
    """
    for name, value in {**OPTIONS, "server.port": port}.items():
        config.set_option(name, value)
    page = Path(file_util.get_static_dir(), "index.html").read_text()
    if _MARK not in page:
        raise RuntimeError("Streamlit's index.html has changed: dashboards/server.py must be adapted to it")
    page = page.replace(_MARK, _WHERE).replace("<title>Streamlit</title>", "<title>Rigor</title>")

    async def index(_: Request) -> HTMLResponse:
        return HTMLResponse(page, headers={"cache-control": "no-cache"})

    routes = [Route(f"/{name}", index) for name in ("", *PAGES)]
    return App(Path(__file__).with_name("app.py"), routes=routes, middleware=[Middleware(Fence), Middleware(Memory)])
