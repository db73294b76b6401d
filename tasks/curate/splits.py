"""Which split a problem is in, and the guard that no held-out form stands in another split."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

from warehouse.ids import row_id

_WORD = re.compile(r"\w+|[-+*/]")
_NUMBER = re.compile(r"\d+")


def group_of(space: str, key: tuple[str | int, ...]) -> str:
    """Hash of a problem's operands, order aside: rewordings and permutations have the same."""
    return row_id(space, *sorted(map(str, key)))


def split_of(group: str, seed: int, validation_share: float, test_share: float) -> str:
    """train, validation or test, by a hash of the group alone: more problems never move one."""
    digest = blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < test_share:
        return "test"
    return "validation" if place < test_share + validation_share else "train"


def forms(prompt: str) -> tuple[str, str, str]:
    """The three levels at which two prompts may be the same.

    Exact; normalised (NFKC, lower case, words, numbers and operators only); template and numbers (numbers masked in the
    normalised text, and the numbers in order of size).
    """
    words = _WORD.findall(unicodedata.normalize("NFKC", prompt).casefold())
    normal = " ".join(words)
    masked = _NUMBER.sub("#", normal)
    return prompt, normal, f"{masked}|{' '.join(sorted(_NUMBER.findall(normal)))}"


class LeakGuard:
    """Remembers which split holds which form. Deterministic in the order of the calls."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._seen: dict[bytes, str] = {}

    def admit(self, prompt: str, split: str) -> bool:
        """False when one of the prompt's forms stands in another split already; else it is remembered."""
        keys = [blake2b(f"{level}{form}".encode(), digest_size=12).digest() for level, form in enumerate(forms(prompt))]
        if any(self._seen.get(key, split) != split for key in keys):
            return False
        for key in keys:
            self._seen[key] = split
        return True
