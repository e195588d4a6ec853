"""Values that an attacker would send, drawn at random."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

__all__ = ["Draw"]

_SQL = (
    "' OR '1'='1", "1; DROP TABLE attacked_letters", "') OR 1=1 --", "1 UNION SELECT code FROM",
    "(SELECT subject FROM attacked_letters LIMIT 1)", "owner = victim", "pg_sleep(5)", "\\'",
    "CASE WHEN 1=1 THEN id ELSE pages END", "id ASC, (SELECT 1)", "1/0", "%00", "--", "/* */",
    "attacked_letters.owner", "owner' = 'victim", "x' AND SLEEP(5) AND 'x", '"owner"', "`owner`",
)  # fmt: skip
_NAMES = (
    "id", "owner", "subject", "pages", "code", "created_time", "deleted_time", "is_active",
    "letters.owner", "__class__", "metadata", "_sa_instance_state", "password", "*", "id.id",
)  # fmt: skip
_OPERATORS = ("=", "!=", "<", ">=", ":", "HAS", "AND", "OR", "NOT", "-", "(", ")", ",", ".", "=~")
_FILTERS = (
    "owner = victim", "owner = *", "NOT owner = mallory", "pages >= 0", "subject:*", "-pages:1",
    'subject = "*1*"', "id > 0 OR id < 0", "deleted_time:*", "is_active = true OR owner:vic",
)  # fmt: skip
_TEXTS = ("", "\x00", "\ud7ff", "\u202e", "ß", "İ", "💥", "\n", "%", "_", "*", "\\", "\x7f", "null")


class Draw:
    """Draws values; the same seed gives the same ones."""

    def __init__(self, seed: int, keys: list[int], tokens: list[str]) -> None:
        self.random = random.Random(seed)
        self._keys = keys
        self._tokens = tokens

    def choice(self, *values: Any) -> Any:
        """Return one of the values."""
        return self.random.choice(values)

    def text(self) -> str:
        """Return a hostile text."""
        kind = self.random.randrange(6)
        if kind == 0:
            return self.random.choice(_SQL)
        if kind == 1:
            return self.random.choice(_TEXTS) * self.random.choice((1, 2, 50))
        if kind == 2:
            return "x" * self.random.choice((1, 41, 201, 1001, 5000))
        if kind == 3:
            return "".join(chr(self.random.randrange(1, 0xD7FF)) for _ in range(8))
        return " ".join(self.random.choice((*_SQL, *_NAMES)) for _ in range(3))

    def filter(self) -> str:
        """Return something like a filter."""
        kind = self.random.random()
        if kind < 0.1:
            start = self.random.choice(("(", "-", "NOT ", "a.", "owner:("))
            return start * self.random.randrange(400)
        if kind < 0.4:
            return self.random.choice(_FILTERS)
        parts = [
            self.random.choice((*_NAMES, *_OPERATORS, *_OPERATORS, self.text(), "victim", "1"))
            for _ in range(self.random.randrange(1, 12))
        ]
        return " ".join(parts)

    def order(self) -> str:
        """Return something like an ordering."""
        if self.random.random() < 0.5:
            return self.random.choice(("", "owner desc", "pages", "code, id desc", "subject"))
        parts = [
            f"{self.random.choice((*_NAMES, self.text()))} {self.random.choice(('', 'desc', ';'))}"
            for _ in range(self.random.randrange(1, 5))
        ]
        return ",".join(parts)

    def mask(self) -> list[str]:
        """Return something like a field mask."""
        if self.random.random() < 0.5:
            return ["owner", "subject"]
        return [self.random.choice((*_NAMES, self.text())) for _ in range(self.random.randrange(4))]

    def key(self) -> int:
        """Return a key, most often one of the victim's."""
        if self.random.random() < 0.7:
            return self.random.choice(self._keys)
        return self.random.choice((0, -1, 2**31, 2**63 - 1, -(2**63), self.random.randrange(10**6)))

    def token(self) -> str:
        """Return a page token: the victim's, a forged or a broken one."""
        if not self._tokens or self.random.random() < 0.2:
            return base64.urlsafe_b64encode(self.random.randbytes(60)).decode()
        token = self.random.choice(self._tokens)
        kind = self.random.randrange(4)
        if kind == 0:
            return token
        if kind == 1:
            return token[: self.random.randrange(len(token))]
        if kind == 2:
            position = self.random.randrange(len(token))
            return f"{token[:position]}{self.random.choice('AZaz09-_=')}{token[position + 1 :]}"
        payload = json.dumps({"a": "0" * 16, "v": [self.key()]}).encode()
        return base64.urlsafe_b64encode(self.random.randbytes(16) + payload).decode()

    def letter(self) -> dict[str, Any]:
        """Return the fields of a letter, right or wrong."""
        every = {
            "subject": self.text(),
            "owner": self.choice("mallory", "victim", "", self.text()),
            "pages": self.choice(1, 0, -1, 2**31 - 1, 2**31, 2**40),
            "code": self.choice(None, self.text(), self.text()),
            "id": self.key(),
            "deleted_time": "2020-01-01T00:00:00Z",
        }
        return {name: every[name] for name in every if self.random.random() < 0.6}

    def nested(self) -> Any:
        """Return a deep or wide value."""
        depth = self.random.choice((3, 60, 70, 500))
        value: Any = self.text()
        for _ in range(depth):
            value = [value] if self.random.random() < 0.5 else {"a": value}
        return value
