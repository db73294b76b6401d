"""A cursor over one answer's tokens."""

from __future__ import annotations

from tasks.grade.math.clean import ParseError
from tasks.grade.math.tokens import Token

MAX_DEPTH = 120
END = Token("end_of_text", "")


class Cursor:
    """Position, nesting depth, and how many modulus bars are open."""

    def __init__(self, tokens: list[Token]) -> None:
        """Stand before the first token."""
        self.tokens = tokens
        self.position = 0
        self.depth = 0
        self.bars = 0

    def peek(self, ahead: int = 0) -> Token:
        """The token `ahead` of the cursor."""
        index = self.position + ahead
        return self.tokens[index] if index < len(self.tokens) else END

    def next(self) -> Token:
        """Take a token."""
        token = self.peek()
        self.position += 1
        return token

    def is_op(self, value: str, ahead: int = 0) -> bool:
        """Is the token this operator?"""
        return self.peek(ahead)[:2] == ("op", value)

    def expect(self, kind: str, value: str) -> None:
        """Take this token or fail."""
        token = self.next()
        if token[:2] != (kind, value):
            raise ParseError(f"expected {value!r}, found {token.value!r}")

    def sign(self) -> bool:
        """Take a minus sign if one is there."""
        if self.is_op("-"):
            self.next()
            return True
        return False

    def raw_group(self) -> str:
        """The subscript's tokens joined, with or without braces."""
        token = self.next()
        if token.kind != "open":
            if token is END or token.kind in ("op", "close"):
                raise ParseError("empty subscript")
            return token.value
        parts: list[str] = []
        depth = 1
        while depth:
            token = self.next()
            if token is END:
                raise ParseError("unbalanced subscript")
            depth += (token.kind == "open") - (token.kind == "close")
            if depth:
                parts.append(token.value)
        return "".join(parts).replace(" ", "")
