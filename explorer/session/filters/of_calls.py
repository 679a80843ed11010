"""A filter of whole calls: what it asks of the arguments is asked at the entry, what of the result at the return.

A call whose entry is rejected is not seen at all, its return included; one whose return is rejected is not seen either,
and looks like one that has not returned: so those are counted and not told one by one while there is such a filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from explorer.session.filters.filter import Filter, compile_parts
from explorer.session.filters.parser import conjuncts, names, parse
from explorer.session.filters.scope import Scope

RETURNED = re.compile(r"return\b")
"""``return``, and what is read through it."""


def compile_for_call(text: str, entry: Scope, returns: Scope) -> tuple[Filter | None, Filter | None]:
    """Understand a filter.

    Args:
        text: As a person wrote it; "" for none.
        entry: The names at the entry.
        returns: The names at the return.

    Returns:
        What is asked at the entry and at the return.

    Raises:
        FilterError: It means nothing there, or one part of it asks for arguments and the result.
    """
    nodes = conjuncts(parse(text)) if text.strip() else []
    of_return = [node for node in nodes if any(map(RETURNED.match, names(node)))]
    of_entry = [node for node in nodes if node not in of_return]
    return (
        compile_parts(text, of_entry, entry) if of_entry else None,
        compile_parts(text, of_return, returns) if of_return else None,
    )


def together(filters: Iterable[Filter | None]) -> Filter | None:
    """Several filters, to be shown as one; None where there are none."""
    known = [each for each in filters if each is not None]
    if not known:
        return None
    return Filter(" && ".join(each.text for each in known), tuple(part for each in known for part in each.parts))
