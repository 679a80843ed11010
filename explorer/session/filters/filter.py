"""A filter of one probe, understood: what the kernel does of it, and what the agent does."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from explorer.session.filters.checker import Checker
from explorer.session.filters.kernel import ROOM, CannotError, lowered, room_of
from explorer.session.filters.parser import Node, conjuncts, parse
from explorer.session.filters.scope import Scope, Tree


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """A condition that must hold beside others.

    Attributes:
        text: As it was written.
        tree: As the protocol has it, in the kernel's words where it can ask it.
        cause: Why the kernel cannot ask it, so that the agent does; "" when the kernel does.
    """

    text: str
    tree: Tree
    cause: str


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """A filter.

    Attributes:
        text: As it was written.
        parts: What must hold, in order.
    """

    text: str
    parts: tuple[Part, ...]

    @property
    def by_kernel(self) -> tuple[Part, ...]:
        """What the kernel rejects by itself, at next to no cost."""
        return tuple(part for part in self.parts if not part.cause)

    @property
    def by_agent(self) -> tuple[Part, ...]:
        """What the agent has to ask of each hit that the kernel let pass."""
        return tuple(part for part in self.parts if part.cause)

    @property
    def label(self) -> str:
        """Who filters: ``filtered by the kernel``, or by the agent and why."""
        if not self.by_agent:
            return "filtered by the kernel"
        causes = "; ".join(dict.fromkeys(part.cause for part in self.by_agent))
        if not self.by_kernel:
            return f"filtered by the agent (the kernel cannot: {causes})"
        kernel, agent = (" && ".join(part.text for part in parts) for parts in (self.by_kernel, self.by_agent))
        return f"filtered by the kernel: {kernel}; by the agent: {agent} (the kernel cannot: {causes})"

    def to_request(self) -> dict[str, list[Tree]]:
        """The protocol's ``filter``."""
        return {"kernel": [part.tree for part in self.by_kernel], "agent": [part.tree for part in self.by_agent]}


def compile_filter(text: str, scope: Scope) -> Filter:
    """Understand a filter.

    Args:
        text: As a person wrote it; not empty.
        scope: The names of its probe.

    Raises:
        FilterError: It means nothing there; the place is in the error.
    """
    return compile_parts(text, conjuncts(parse(text)), scope)


def compile_parts(text: str, nodes: Sequence[Node], scope: Scope) -> Filter:
    """Some of the parts of a filter.

    Args:
        text: The whole filter.
        nodes: The parts, of ``conjuncts``.
        scope: The names of the probe.

    Raises:
        FilterError: One of them means nothing there.
    """
    checker = Checker(text, scope)
    parts: list[Part] = []
    room = ROOM
    for node in nodes:
        tree, written = checker.condition(node), text[node.start : node.end]
        try:
            asked = lowered(tree)
            if (room := room - room_of(asked)) < 0:
                raise CannotError("all of it is more than it takes")
            parts.append(Part(written, asked, ""))
        except CannotError as cause:
            parts.append(Part(written, tree, str(cause)))
    return Filter(" && ".join(part.text for part in parts), tuple(parts))
