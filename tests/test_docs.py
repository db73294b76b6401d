"""The pages hold: commands parse with their configs, links and pictures are there, so are the files that are named."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest
import typer

from flows.catalogue import FLOWS, configured
from flows.cli import app

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
ROOMS = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")} - {"rigor-home"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OPTIONAL = re.compile(r"(?<=\s)\[(--.*?|[A-Z]+)\](?=\s|$)")
"""`[--dry-run]`, `[--direction both]`: said to be left out at will."""
TARGETS = set(re.findall(r"^([.a-z][\w./-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def commands(text: str) -> list[str]:
    """What a reader may type: lines of blocks, and spans of code, that begin with `rigor` or `make`."""
    blocks = [line for _, block in FENCE.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    spans = [span for span in SPAN.findall(FENCE.sub("", text)) if " " in span]
    typed = [line.strip().removeprefix("$ ") for line in (*blocks, *spans)]
    return [line.replace("\\|", "|") for line in typed if re.match(r"(?:[A-Z_]+=\S+ )*(?:rigor|make) ", line)]


def parse(command: str, added: frozenset[str] = frozenset()) -> None:
    """Parse a line as the shell and the command would, its config too; an error says what does not fit.

    Keys that the page itself teaches to add are left out of the config.
    """
    words = shlex.split(OPTIONAL.sub(r"\1", command), comments=True)
    words = words[: next((at for at, word in enumerate(words) if word in ("|", ">", "&&")), None)]
    while re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    if words[0] == "make":
        asked = [word for word in words[1:] if "=" not in word and "…" not in word]
        assert set(asked) <= TARGETS, f"no such target: {sorted(set(asked) - TARGETS)}"
        return
    group, name, rest = typer.main.get_group(app), words[1], words[2:]
    with typer.Context(group) as context:
        chosen = group.get_command(context, name)
        assert chosen is not None, f"no such command: {name}"
        if not rest:  # a command is named, not typed
            return
        with chosen.make_context(name, rest, parent=context) as made:
            given = made.params
    if name in ("run", "plan", "backfill") and given["flow"] != "FLOW":
        assert given["flow"] in FLOWS
        there = [change for change in given["changes"] or () if not set(change.partition("=")[0].split(".")) & added]
        configured(given["flow"], given["profile"] or "laptop", there, given["paths"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_parses_with_its_config(page: Path) -> None:
    blocks = [block for language, block in FENCE.findall(page.read_text()) if language == "python"]
    added = frozenset(re.findall(r"^    (\w+): \w+ = ", "\n".join(blocks), re.MULTILINE))
    for command in commands(page.read_text()):
        try:
            parse(command, added)
        except Exception as error:
            raise AssertionError(f"{page.name}: {command}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_picture_and_named_file_is_there(page: Path) -> None:
    text = FENCE.sub("", page.read_text())
    missing = [
        link
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text)
        if "://" not in link and not (page.parent / link).exists()
    ]
    for span in SPAN.findall(text):
        path = re.sub(r":\d+$", "", span)
        named = re.fullmatch(r"[\w.*/-]+", path) and path.split("/")[0] in ROOMS and "/" in path
        pattern = re.sub(r"\b[A-Z]+\b(?=\.|/|$)", "*", path.rstrip("/"))  # NAME, AREA: any
        if named and not path.endswith(("README.md", ".png")) and "verb_noun" not in path:
            missing += [] if next(ROOT.glob(f"{pattern}*"), None) else [span]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_python_example_is_python(page: Path) -> None:
    for language, block in FENCE.findall(page.read_text()):
        if language == "python":
            ast.parse(block)


def test_the_check_itself_sees_what_it_looks_for() -> None:
    page = "`rigor run mine`, `make test`\n```\n$ rigor plan r1 --set \\\n  flows=['mine']   # why\nmade 3\n```\n"
    assert commands(page) == ["rigor plan r1 --set    flows=['mine']   # why", "rigor run mine", "make test"]
    parse('rigor run r1 --set zero.reinforce.rewards.format=0 --set \'flows=["zero", "evaluate"]\'')
    parse("rigor backfill mine --from 2026-01 --to 2026-03 [--dry-run]")
    for wrong in ("rigor rnu mine", "rigor run mine --speed 3", "rigor run mine --set rounds=many", "make tset"):
        with pytest.raises((Exception, AssertionError)):
            parse(wrong)
