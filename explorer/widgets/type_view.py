"""The members of one type as a tree that opens and closes in place, with the way there and its totals around it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType

from explorer.widgets.card_lines import Line, paragraph
from explorer.widgets.cells import fit, fit_right
from explorer.widgets.line_view import LineView
from explorer.widgets.palette import BRIGHT, ERROR, FAINT, KEY, LOCATION, MUTED, NAME, TEXT, TYPE, WARNING
from symbols.btf_format import Kind
from symbols.errors import BtfError
from symbols.type_access import meaning, spelled
from symbols.type_layout import CACHE_LINE, Field, Gap, bits_in_words
from symbols.type_tree import Enumerator, Node, TypeTree

_LINE, _OFFSET, _SIZE = 5, 9, 7
"""Cells of the columns before the names; the first only where there is room."""
_ROOM_FOR_LINES = 70


class TypeView(LineView):
    """The tree. What Enter does to a member that leads elsewhere is the screen's business."""

    HELP: ClassVar[str] = "members of a type"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,right,l", "choose", "Open", key_display="Enter", id="members.open",
                tooltip="Open or close the members inside; from a pointer (») go to the type that it points to"),
        Binding("left,h", "fold", "Close", show=False, id="members.close",
                tooltip="Close the members inside; from one of them go to what it lies in"),
        Binding("space", "turn", "Open/close", show=False, id="members.toggle",
                tooltip="Open or close the members inside"),
        Binding("plus,asterisk", "open_all", "Open all", show=False, key_display="+", id="members.open-all",
                tooltip="Open all members one step further"),
        Binding("minus", "close_all", "Close all", show=False, key_display="-", id="members.close-all",
                tooltip="Close all members but the nameless"),
        Binding("y", "screen.copy", "Copy path", id="members.copy",
                tooltip="Copy the member's path in C notation: file->f_path.dentry"),
    ]  # fmt: skip

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.tree_shown: TypeTree | None = None
        self.problem = ""
        self._names = 0
        self._cache_lines: dict[int, int] = {}

    def show(self, tree: TypeTree | None, problem: str = "", cursor: int = 0) -> None:
        """Show a tree, or why there is none."""
        self.tree_shown, self.problem, self.cursor = tree, problem, cursor
        self.scroll_to(y=0, animate=False, force=True)
        self._renew()
        self.reveal(self.cursor)
        self.post_message(self.Moved(self))

    @property
    def row_count(self) -> int:
        """Members and gaps that are shown."""
        return len(self.tree_shown.rows) if self.tree_shown is not None else 0

    @property
    def selected(self) -> Node | None:
        """The member under the cursor."""
        return self.tree_shown.rows[self.cursor] if self.tree_shown is not None and self.row_count else None

    def _renew(self) -> None:
        rows = self.tree_shown.rows if self.tree_shown is not None else []
        self._names = max((cell_len(_name(node)) for node in rows), default=0)
        self._cache_lines = {}
        line = 0
        for row, node in enumerate(rows):
            if node.bit_offset // 8 // CACHE_LINE > line and not isinstance(node.part, Enumerator):
                line = node.bit_offset // 8 // CACHE_LINE
                self._cache_lines[row] = line
        self.rows_changed()

    def draw_row(self, row: int, width: int) -> Iterable[Segment]:
        """The cache line that begins here, offset, size, name and type."""
        assert self.tree_shown is not None
        node = self.tree_shown.rows[row]
        if isinstance(node.part, Enumerator):
            names = min(self._names, max(width - 24, 12))
            yield Segment(" " + fit(_name(node), names), NAME)
            yield Segment(f"  {fit_right(str(node.part.value), 10)}", KEY)
            yield Segment(f"  {node.part.value:#x}", MUTED)
            return
        if width >= _ROOM_FOR_LINES:
            line = self._cache_lines.get(row)
            yield Segment(fit_right("" if line is None else str(line), _LINE - 1) + " ", FAINT)
            width -= _LINE
        at = f"+{node.bit_offset // 8:#05x}"
        fine = node.bit_offset % 8 or (isinstance(node.part, Field) and node.part.bit_size is not None)
        yield Segment(fit(f"{at}{f':{node.bit_offset % 8}' if fine else ''}", _OFFSET), LOCATION)
        if isinstance(node.part, Gap):
            yield Segment(fit_right(_short(node.part.bits), _SIZE) + " ", WARNING)
            yield Segment(_name(node), WARNING)
            return
        wrong = bool(node.part.problem)
        size = "?" if node.part.bits is None else _short(node.part.bits, node.part.bit_size is not None)
        yield Segment(fit_right(size, _SIZE) + " ", ERROR if wrong else MUTED)
        names = min(self._names, max(14, (width - _OFFSET - _SIZE - 3) * 55 // 100))
        style: Style = ERROR if wrong else NAME if node.part.name else MUTED
        yield Segment(fit(_name(node), names) + "  ", style)
        if node.part.name:
            yield Segment(spelled(self.tree_shown.named.btf, node.part.type), TYPE)

    def draw_empty(self, line: int, width: int) -> Iterable[Segment]:
        """Why there are no members."""
        words = self.problem or ("it has no members" if self.tree_shown is not None else "")
        lines = paragraph(words, WARNING if self.problem else MUTED, width - 2)
        yield from lines[line] if line < len(lines) else ()

    def action_turn(self) -> None:
        """Open or close what is inside the member."""
        tree, node = self.tree_shown, self.selected
        if tree is not None and node is not None and node.opens:
            self._changed(lambda: tree.toggle(node), node)

    def action_fold(self) -> None:
        """Close what is inside; else go up to what the member lies in."""
        node = self.selected
        if node is not None and node.open:
            self.action_turn()
        elif node is not None and node.parent is not None and self.tree_shown is not None:
            self.move_cursor(self.tree_shown.rows.index(node.parent))

    def action_open_all(self) -> None:
        """Open everything one step further."""
        if self.tree_shown is not None:
            self._changed(self.tree_shown.open_all, self.selected)

    def action_close_all(self) -> None:
        """Close everything with a name."""
        node = self.selected
        while node is not None and node.parent is not None:
            node = node.parent
        if self.tree_shown is not None:
            self._changed(self.tree_shown.close_all, node)

    def _changed(self, change: object, node: Node | None) -> None:
        """Let rows come and go; the cursor stays on its member."""
        assert callable(change)
        try:
            change()
        except BtfError as error:
            self.notify(error.hint or " ", title=error.message, severity="error", markup=False, timeout=8)
        if node is not None and self.tree_shown is not None:
            self.cursor = self.tree_shown.rows.index(node)
        self._renew()
        self.reveal(self.cursor)
        self.post_message(self.Moved(self))


def heading(tree: TypeTree, width: int) -> list[Line]:
    """What type it is and how it was reached, then its totals."""
    named = tree.named
    keyword = tree.record.kind.name.lower().replace("enum64", "enum")
    title = (
        named.text if named.record.kind is not Kind.TYPEDEF else f"{named.text} = {keyword} {tree.record.name}".rstrip()
    )
    module = f"  module {named.module}" if named.module else ""
    way = "" if tree.path in ("", named.record.name) else f"  {tree.path}"
    first = [Segment(title, BRIGHT), Segment(way, KEY), Segment(module, MUTED)]
    if tree.layout is not None:
        totals = tree.layout.summary()
    else:
        totals = [f"{tree.record.size} bytes", f"{len(tree.rows):,} values"]
    return [first, *_joined(totals, width)]


def columns(tree: TypeTree, width: int) -> list[Line]:
    """The heads of the columns of a struct or union."""
    if tree.layout is None:
        return []
    lines = fit_right("line", _LINE - 1) + " " if width >= _ROOM_FOR_LINES else ""
    return [[Segment(f"{lines}{fit('offset', _OFFSET)}{fit_right('size', _SIZE)}   member", FAINT)]]


def _joined(words: list[str], width: int) -> list[Line]:
    """Words with dots between them, broken only there."""
    lines = [words[0]]
    for word in words[1:]:
        if cell_len(f"{lines[-1]} · {word}") <= width:
            lines[-1] += f" · {word}"
        else:
            lines.append(word)
    return [[Segment(line, MUTED)] for line in lines]


def detail(tree: TypeTree, node: Node) -> list[Line]:
    """All about one member: its path, its whole type, its place in numbers."""
    part = node.part
    if isinstance(part, Gap):
        return [[Segment(part.words(), WARNING)], [Segment(_where(node), MUTED)]]
    if isinstance(part, Enumerator):
        return [[Segment(part.name, BRIGHT)], [Segment(f"{part.value} = {part.value:#x}", MUTED)]]
    btf = tree.named.btf
    beneath = meaning(btf, part.type)
    first = [Segment(node.path, KEY), Segment(f"  {spelled(btf, part.type)}", TYPE)]
    if beneath:
        first += [Segment("  is ", MUTED), Segment(beneath, TYPE)]
    second = [Segment(f"{bits_in_words(part.bits) if part.bits is not None else 'size unknown'} {_where(node)}", MUTED)]
    if node.behind is not None and node.behind.elements != 1 and node.opens:
        second.append(Segment(f" · [0] of {node.behind.elements:,}, each {node.behind.record.size:,} bytes", TEXT))
    if part.forced:
        second.append(Segment(f" · aligned to {part.forced} or more", TEXT))
    if part.problem:
        second.append(Segment(f" · {part.problem}", ERROR))
    return [first, second]


def _where(node: Node) -> str:
    byte, bit = divmod(node.bit_offset, 8)
    fine = f" bit {bit}" if bit or (isinstance(node.part, Field) and node.part.bit_size is not None) else ""
    return f"at {byte:,} ({byte:#x}){fine} · cache line {byte // CACHE_LINE}"


def _name(node: Node) -> str:
    indent = "  " * node.depth
    if isinstance(node.part, Gap):
        return f"{indent}  {'padding' if node.part.at_end else 'hole'}"
    if isinstance(node.part, Enumerator):
        return node.part.name
    mark = ("▾" if node.open else "▸") if node.opens else "»" if node.leads else " "
    name = node.part.name
    if not name and node.behind is not None:
        name = node.behind.record.kind.name.lower()
    return f"{indent}{mark} {name}"


def _short(bits: int, as_bits: bool = False) -> str:
    return f"{bits}b" if as_bits or bits % 8 else f"{bits // 8:,}"
