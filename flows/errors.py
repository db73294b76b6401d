"""Which errors are the user's to mend: they end in one line that says what is wrong, without a traceback.

Whatever stops a stage is told in the same way, with the stage's name; its traceback is in Prefect's log of the run.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.markup import escape

MISTAKES = (ValueError, LookupError, FileNotFoundError, PermissionError, NotADirectoryError, ConnectionError)
IN_STAGE = "in stage "


@contextmanager
def user_errors(console: Console) -> Iterator[None]:
    """Turn known mistakes (paths, keys, ids, missing tables, busy ports, hosts that are not reached) into a message and
    exit code 2.

    What else stops a stage becomes a message and exit code 1; other errors pass.
    """
    try:
        yield
    except Exception as error:
        notes = [note for note in getattr(error, "__notes__", ()) if note.startswith(IN_STAGE)]
        known = isinstance(error, MISTAKES) or (isinstance(error, OSError) and not notes)
        if not known and not notes:
            raise
        if isinstance(error, ValidationError):
            lines = [
                f"{_place(e['loc'], error.title) if e['loc'] else error.title}: {e['msg']}" for e in error.errors()
            ]
            text = "\n".join(lines)
        elif isinstance(error, SettingsError):
            name = f"RIGOR_{str(error).split(chr(34))[1].upper()}"  # error parsing value for field "layout" from …
            text = f"{name}: no JSON: {error.__cause__ or os.environ.get(name)}"
        elif isinstance(error, OSError) and error.filename:
            text = f"{error.strerror}: {error.filename}"
        else:
            text = str(error.args[0]) if isinstance(error, LookupError) and error.args else str(error)
        told = "\n".join([f"[bold red]error[/] {escape(text)}", *map(escape, notes)])
        console.print(told, markup=True, highlight=False, soft_wrap=True)
        sys.exit(2 if known else 1)


def _place(path: tuple[int | str, ...], title: str) -> str:
    """A value's place, in the words in which the user gave it: settings are environment variables."""
    first, *rest = map(str, path)
    return ".".join([f"RIGOR_{first.upper()}" if title == "Settings" else first, *rest])


@contextmanager
def stage_errors(stage: str) -> Iterator[None]:
    """Note on an error which stage it stopped, for `user_errors`."""
    try:
        yield
    except Exception as error:
        error.add_note(
            f"{IN_STAGE}{stage} ({type(error).__name__}); the traceback is in the run's log in Prefect (`rigor ui`),"
            " and on the terminal with PREFECT_LOGGING_LEVEL=DEBUG"
        )
        raise


@contextmanager
def hushed_prefect() -> Iterator[None]:
    """Keep from the terminal, unless Prefect logs at DEBUG, what Prefect says of a failed run: `user_errors` says it.

    Prefect logs the error of a stage twice, with its engine's traceback. The log of the run holds it all the same.
    """
    from prefect.logging.handlers import PrefectConsoleHandler  # here: `rigor --help` must not wait for Prefect

    consoles = [each for each in logging.getLogger().handlers if isinstance(each, PrefectConsoleHandler)]
    for console in consoles:
        console.addFilter(_is_for_the_terminal)
    try:
        yield
    finally:
        for console in consoles:
            console.removeFilter(_is_for_the_terminal)


def _is_for_the_terminal(record: logging.LogRecord) -> bool:
    failure = record.name in ("prefect.flow_runs", "prefect.task_runs") and record.levelno >= logging.ERROR
    return not failure or logging.getLogger("prefect").isEnabledFor(logging.DEBUG)
