"""A block for every engine: importable, so that a worker elsewhere finds it."""

from __future__ import annotations

import os

from datatrove.data import Document

from tasks.pipeline import RowStep
from tasks.stage import Reject


class Shout(RowStep):
    """Upper case; what begins with x is rejected; `bomb` ends the process that reads it."""

    name = "shout"

    def apply(self, doc: Document) -> Reject | None:
        if doc.text.startswith("x"):
            return Reject("begins with x", doc.text)
        if doc.text == "bomb":
            os._exit(7)
        doc.text = doc.text.upper()
        return None
