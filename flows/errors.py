"""Which errors are the user's to mend: they end in one line that says what is wrong, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape


@contextmanager
def user_errors(console: Console) -> Iterator[None]:
    """Turn known mistakes (paths, keys, ids, missing tables, busy ports) into a message and exit code 2."""
    try:
        yield
    except (ValueError, LookupError, FileNotFoundError, PermissionError, NotADirectoryError, ConnectionError) as error:
        if isinstance(error, ValidationError):
            lines = [f"{'.'.join(map(str, e['loc'])) or error.title}: {e['msg']}" for e in error.errors()]
            text = "\n".join(lines)
        else:
            text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
        console.print(f"[bold red]error[/] {escape(text)}", markup=True, highlight=False, soft_wrap=True)
        sys.exit(2)
