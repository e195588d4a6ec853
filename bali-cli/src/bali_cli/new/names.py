"""The name of a service, and the names in its code that follow from it."""

from __future__ import annotations

import builtins
import keyword
import re
import sys
from dataclasses import dataclass
from importlib.metadata import packages_distributions, requires

import bali
from bali.resources.naming import camel, kebab, pluralise, snake

__all__ = ["MAX_LENGTH", "BadName", "ServiceName"]

#: What a host name may have (RFC 1035, section 2.3.4): services are found by theirs.
MAX_LENGTH = 63

_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z][a-z0-9]*)*")
#: The packages and modules that a service has anyway.
_SCAFFOLD = frozenset(
    {
        "clients",
        "core",
        "main",
        "migrations",
        "models",
        "protos",
        "resources",
        "schemas",
        "services",
        "test",
        "tests",
    }
)
#: What its code imports from elsewhere.
_IMPORTED = frozenset({*bali.__all__, "Any", "BaseModel", "Deactivation", "Field", "Mapped"})


class BadName(ValueError):
    """No service can have this name; the text says why, and what would be right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceName:
    """The names of one service, `order-item`.

    `module`: "order_item"; `plural`: "order_items", its table; `model` and `models`: "OrderItem",
    the class, and "OrderItems"; `endpoint`: "order-items", the path; `words` and `words_plural`: as
    a sentence has them.
    """

    name: str
    module: str
    plural: str
    model: str
    models: str
    endpoint: str
    words: str
    words_plural: str

    @classmethod
    def parse(cls, name: str) -> ServiceName:
        """Return the names that follow from `name`. Raises `BadName` for one that cannot be."""
        _check_spelling(name)
        module = snake(name)
        _check_meaning(name, module)
        plural = pluralise(module)
        return cls(
            name=name,
            module=module,
            plural=plural,
            model=camel(name),
            models=camel(plural),
            endpoint=kebab(plural),
            words=module.replace("_", " "),
            words_plural=plural.replace("_", " "),
        )

    @property
    def article(self) -> str:
        """The article that `words` take at the start of a sentence."""
        return "An" if self.words[0] in "aeio" else "A"


def _check_spelling(name: str) -> None:
    if not name:
        raise BadName("the name of the service is empty; write it, as in `bali new user`")
    if len(name) > MAX_LENGTH:
        raise BadName(
            f"the name has {len(name)} characters; a service is found by its host name, which may "
            f"have {MAX_LENGTH}"
        )
    if not _NAME.fullmatch(name):
        near = kebab(name)
        perhaps = f" Perhaps `{near}`?" if _NAME.fullmatch(near) else ""
        raise BadName(
            f"{name!r} is no name for a service. It has lower-case letters (a to z) and digits; "
            f"each word starts with a letter, and words are joined by one hyphen.{perhaps}"
        )


def _check_meaning(name: str, module: str) -> None:
    model = camel(name)
    if snake(model) != module:
        raise BadName(
            f"{name!r} would call its model {model}, which reads as one word; "
            f"write `{kebab(model)}`"
        )
    reason = None
    if keyword.iskeyword(module) or keyword.issoftkeyword(module):
        reason = "is a keyword of Python"
    elif module in _SCAFFOLD:
        reason = "is what every service calls a part of its own"
    elif module in sys.stdlib_module_names:
        reason = "is a module of Python's standard library"
    elif module in _dependencies():
        reason = "is a package that the service needs"
    elif model in _IMPORTED or hasattr(builtins, model):
        reason = f"would call its model {model}, which is the name of something else"
    if reason is not None:
        raise BadName(f"{name!r} {reason}; choose another name, as in `bali new my-{name}`")


def _dependencies() -> frozenset[str]:
    """Return the modules that bali and its direct dependencies have, as they are imported."""
    texts = [text for ours in ("bali-core", "bali-cli") for text in requires(ours) or ()]
    wanted = {_canonical(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in texts}
    return frozenset({"bali", "bali_cli"}).union(
        module
        for module, distributions in packages_distributions().items()
        if wanted & {_canonical(name) for name in distributions}
    )


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
