"""A type as a tree: its members, and inside those that are structs or unions theirs, opened one by one.

Only what is opened is laid out, so that a type which contains itself does no harm.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from symbols.btf import Btf
from symbols.errors import BtfError
from symbols.type_access import Behind, Way, behind
from symbols.type_index import NamedType
from symbols.type_layout import AGGREGATES, Field, Gap, Layout, layout

_OPENED_BY_ITSELF = 8
"""Nameless members inside nameless members; damaged data may contain itself."""
_MOST_OPENED = 5_000
"""Members that are shown without being asked for; opened by hand there may be more."""


@dataclasses.dataclass(frozen=True, slots=True)
class Enumerator:
    """A value of an enum."""

    name: str
    value: int


@dataclasses.dataclass(slots=True, eq=False)
class Node:
    """A line of the tree.

    Attributes:
        part: What it stands for.
        depth: How many members it lies in.
        bit_offset: From the beginning of the whole type; 0 for an enumerator.
        prefix: What C writes before its name: ``file->f_path.``.
        behind: The struct, union or enum that the member comes down to, if any.
        children: What it holds, once it has been opened.
        open: Whether these are shown.
    """

    part: Field | Gap | Enumerator
    depth: int
    bit_offset: int
    prefix: str
    behind: Behind | None
    parent: Node | None
    children: list[Node] | None = None
    open: bool = False

    @property
    def path(self) -> str:
        """The member in C's notation; of a nameless one what it lies in, of a gap nothing."""
        if isinstance(self.part, Gap):
            return ""
        return self.prefix + self.part.name if self.part.name else self.prefix.rstrip(".->")

    @property
    def opens(self) -> bool:
        """Whether there are members inside."""
        return self.behind is not None and self.behind.way is Way.INSIDE and self.behind.record.kind in AGGREGATES

    @property
    def leads(self) -> bool:
        """Whether it leads to another type: by a pointer, or because an enum says what its values are."""
        return self.behind is not None and not self.opens


class TypeTree:
    """The tree of one struct, union or enum.

    Attributes:
        named: The type.
        record: The record of the struct, union or enum beneath its typedefs.
        path: What it is called: a parameter's name, or the way that led here.
        joint: What C writes between that and a member: ``->`` or ``.``.
        layout: None for an enum.
        rows: The nodes that are shown, in order.
    """

    def __init__(self, named: NamedType, path: str, joint: str) -> None:
        """Lay the type out, nameless members opened.

        Raises:
            BtfError: The type is damaged.
        """
        self.named, self.path, self.joint = named, path, joint
        self._btf: Btf = named.btf
        self._left = _MOST_OPENED
        self.record = named.defined
        self.layout: Layout | None = None
        if self.record.kind in AGGREGATES:
            self.layout = layout(self._btf, self.record.id)
            self._roots = self._nodes(self.layout, None, 0, path + joint, 0)
        else:
            values = self._btf.enumerators(self.record)
            self._roots = [Node(Enumerator(name, value), 0, 0, "", None, None) for name, value in values]
        self.rows: list[Node] = []
        self._show()

    def toggle(self, node: Node) -> None:
        """Open or close a member that has members inside.

        Raises:
            BtfError: The type of the member is damaged.
        """
        if node.opens:
            self._open(node)
            node.open = not node.open
            self._show()

    def open_all(self, node: Node | None = None) -> None:
        """Open what is inside a member, or what is inside all of them, one step further.

        Raises:
            BtfError: A type is damaged.
        """
        for each in list(self.rows) if node is None else [node]:
            if each.opens and not each.open:
                self._open(each)
                each.open = True
        self._show()

    def close_all(self) -> None:
        """Close all but the nameless."""
        for node in self._walk(self._roots, everything=True):
            node.open = node.open and isinstance(node.part, Field) and not node.part.name
        self._show()

    def _open(self, node: Node, levels: int = 0) -> None:
        if node.children is None and node.behind is not None:
            inner = layout(self._btf, node.behind.record.id)
            prefix = node.path + node.behind.notation if _has_name(node) else node.prefix
            node.children = self._nodes(inner, node, node.bit_offset, prefix, levels)

    def _nodes(self, whole: Layout, parent: Node | None, start: int, prefix: str, levels: int) -> list[Node]:
        depth = 0 if parent is None else parent.depth + 1
        nodes = []
        self._left -= len(whole.parts)
        for part in whole.parts:
            found = _behind(self._btf, part) if isinstance(part, Field) else None
            node = Node(part, depth, start + part.bit_offset, prefix, found, parent)
            by_itself = isinstance(part, Field) and not part.name and levels < _OPENED_BY_ITSELF and self._left > 0
            if by_itself and node.opens:
                self._open(node, levels + 1)
                node.open = True
            nodes.append(node)
        return nodes

    def _show(self) -> None:
        self.rows = list(self._walk(self._roots))

    def _walk(self, nodes: list[Node], *, everything: bool = False) -> Iterator[Node]:
        for node in nodes:
            yield node
            if node.children is not None and (node.open or everything):
                yield from self._walk(node.children, everything=everything)


def _has_name(node: Node) -> bool:
    return isinstance(node.part, Field) and bool(node.part.name)


def _behind(btf: Btf, field: Field) -> Behind | None:
    try:
        return behind(btf, field.type)
    except BtfError:
        return None  # told by the field's own problem, or by the question mark for its type


def target(tree: TypeTree, node: Node) -> tuple[NamedType, str, str] | None:
    """Where a node leads: the type, what to call it, and the joint; None where it leads nowhere."""
    if node.behind is None or not node.leads:
        return None
    joint = "->" if node.behind.notation.endswith("->") else "."
    called = node.path + node.behind.notation.removesuffix(joint)
    return NamedType(tree.named.btf, tree.named.module, node.behind.record), called, joint
