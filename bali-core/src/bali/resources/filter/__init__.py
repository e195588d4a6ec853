"""Filters of lists as AIP-160 has them: `age >= 18 AND (name = "A*" OR NOT email:*)`.

`condition_of` reads one, checks it against the fields of a list and gives them values of their
types; a store turns the condition into a query, and `matches` asks it about one item.
"""

from bali.resources.filter.checks import MAX_FILTER_CONDITIONS, condition_of
from bali.resources.filter.evaluation import matches
from bali.resources.filter.fields import FilterField, FilterFields, FilterFunction, filter_fields
from bali.resources.filter.tree import (
    AllOf,
    AnyOf,
    Comparison,
    Condition,
    FilterError,
    Invocation,
    Negation,
    Operator,
    Presence,
    TextMatch,
)

__all__ = [
    "MAX_FILTER_CONDITIONS",
    "AllOf",
    "AnyOf",
    "Comparison",
    "Condition",
    "FilterError",
    "FilterField",
    "FilterFields",
    "FilterFunction",
    "Invocation",
    "Negation",
    "Operator",
    "Presence",
    "TextMatch",
    "condition_of",
    "filter_fields",
    "matches",
]
