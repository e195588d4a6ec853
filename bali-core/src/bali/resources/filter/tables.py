"""Reads filters by the tables that lark makes of the grammar, without lark's own driver.

lark's driver keeps lines, histories and objects that compare themselves in Python, which costs more
than all the rest of reading a filter. The tables, the terminals and their order, and what is called
for each rule are lark's; a test compares both drivers over any text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from lark import Lark
from lark.lexer import BasicLexer

__all__ = ["Tables", "UnreadableError", "Word"]

#: Where to go on after a token, or which rule has ended: its length, what it makes, its name.
_Action: TypeAlias = int | tuple[int, Callable[[list[Any]], Any], str]
_END = "$END"


class UnreadableError(Exception):
    """The text is not of the grammar; lark's own driver says where and why."""


class Word(str):
    """A token: a text with its type and place, as lark's tokens have them."""

    __slots__ = ("start_pos", "type")
    type: str
    start_pos: int


class Tables:
    """The tables of one parser, made with `parser="lalr"`, `lexer="basic"` and a transformer."""

    def __init__(self, lark: Lark) -> None:
        front: Any = lark.parser
        table, callbacks = front.parser._parse_table, front.parser.parser.callbacks  # noqa: SLF001 - no other way to them
        numbers = {state: number for number, state in enumerate(table.states)}
        self._start = numbers[table.start_states["start"]]
        self._end = numbers[table.end_states["start"]]
        self._actions: list[dict[str, _Action]] = []
        self._gotos: list[dict[str, int]] = []
        for row in table.states.values():
            actions: dict[str, _Action] = {}
            gotos: dict[str, int] = {}
            for symbol, (action, argument) in row.items():
                if action.name == "Shift":
                    gotos[str(symbol)] = actions[str(symbol)] = numbers[argument]
                else:
                    rule = argument
                    name = str(rule.origin.name)
                    actions[str(symbol)] = (len(rule.expansion), callbacks[rule], name)
            self._actions.append(actions)
            self._gotos.append(gotos)
        self._take_terminals(lark)

    def _take_terminals(self, lark: Lark) -> None:
        front: Any = lark.parser
        basic: BasicLexer = front.lexer
        self._ignored = frozenset(map(str, basic.ignore_types))
        #: Words that another terminal would take too are keywords when they are the whole of it.
        self._keywords = {
            item.pattern.value: str(item.name)
            for item in basic.terminals
            if item.pattern.type == "str"
        }
        patterns = (f"(?P<{item.name}>{item.pattern.to_regexp()})" for item in basic.terminals)
        self._scan = re.compile("|".join(patterns), basic.g_regex_flags).match

    def read(self, text: str) -> Any:
        """Return what the transformer makes of a text; raise `UnreadableError` if it cannot be."""
        actions, gotos, end = self._actions, self._gotos, self._end
        states, values = [self._start], []
        for kind, word in self._words(text):
            while True:
                action = actions[states[-1]].get(kind)
                if isinstance(action, int):
                    states.append(action)
                    values.append(word)
                    break
                if action is None:
                    raise UnreadableError
                size, make, name = action
                children: list[Any] = []
                if size:
                    children = values[-size:]
                    del states[-size:], values[-size:]
                states.append(gotos[states[-1]][name])
                values.append(make(children))
                if kind is _END and states[-1] == end:
                    return values[-1]
        raise UnreadableError

    def _words(self, text: str) -> Iterator[tuple[str, Any]]:
        scan, keywords, ignored = self._scan, self._keywords, self._ignored
        position, end = 0, len(text)
        while position < end:
            match = scan(text, position)
            if match is None:
                raise UnreadableError
            kind: Any = match.lastgroup
            if kind not in ignored:
                word = Word(match[0])
                word.type = kind = keywords.get(word, kind)
                word.start_pos = position
                yield kind, word
            position = match.end()
        yield _END, None
