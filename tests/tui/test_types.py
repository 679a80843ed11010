"""The type browser: reached by a query or from a function, its members opened, followed and copied."""

from __future__ import annotations

import pytest
from textual.binding import Binding
from textual.events import Key

from explorer.screens.help import HelpScreen
from explorer.screens.types import TypeBox, TypesScreen
from explorer.widgets.type_list import TypeList
from explorer.widgets.type_view import TypeView
from symbols.btf_format import Kind
from tests.btf_builder import BtfBuilder
from tests.scripted_agent import ScriptedAgent
from tests.tui.driving import LARGE, SMALL, Driver, running


def kernel_with_files() -> ScriptedAgent:
    """``vfs_read(struct file *file, ...)`` and what a file holds, names as in the kernel."""
    b = BtfBuilder()
    integer, long, char = b.integer("unsigned int", 4), b.integer("long", 8, True), b.integer("char", 1, True)
    string = b.pointer(b.const(char))
    hashes = b.struct("", 8, [("hash", integer, 0), ("len", integer, 32)])
    either = b.struct("", 8, [("", hashes, 0), ("hash_len", long, 0)], Kind.UNION)
    name = b.struct("qstr", 16, [("", either, 0), ("name", string, 64)])
    dentry = b.struct("dentry", 24, [("d_flags", integer, 0), ("d_name", name, 64)])
    path = b.struct("path", 16, [("mnt", b.pointer(b.forward("vfsmount")), 0), ("dentry", b.pointer(dentry), 64)])
    state = b.enum("file_state", [("FILE_OPEN", 0), ("FILE_CLOSED", 16)])
    file = b.bit_fields(
        "file", 80,
        [
            ("f_ready", integer, 0, 3), ("f_state", state, 32, 0), ("f_path", path, 64, 0),
            ("f_slots", b.array(dentry, 2), 192, 0),
        ],
    )  # fmt: skip
    for filler in range(20):
        b.struct(f"file_lock_{filler}", 4, [("count", integer, 0)])
    b.function("vfs_read", long, [("file", b.pointer(file)), ("buf", string), ("count", long)])
    b.function("schedule", 0, [])
    agent = ScriptedAgent()
    agent.facts["btf:vmlinux"] = b.build()
    return agent


def browser(driver: Driver) -> TypesScreen:
    assert isinstance(driver.app.screen, TypesScreen)
    return driver.app.screen


async def open_type(driver: Driver, query: str, text: str) -> TypesScreen:
    """Type a query for types, and go to the members of the best match."""
    await driver.press(*query)
    await driver.until(lambda: isinstance(driver.app.screen, TypesScreen) and driver.app.screen.ready)
    screen = browser(driver)
    await driver.until(lambda: (found := screen.types.selected) is not None and found.named.text == text)
    await driver.press("enter", "enter")
    await driver.until(lambda: screen.focused is screen.members)
    return screen


async def go_to(driver: Driver, name: str) -> None:
    """Put the cursor on a member."""
    members = browser(driver).members
    assert members.tree_shown is not None
    names = [getattr(node.part, "name", "") for node in members.tree_shown.rows]
    members.move_cursor(names.index(name))
    await driver.pilot.pause()


async def test_a_query_for_types_finds_them_by_a_few_letters() -> None:
    async with running(kernel_with_files()) as driver:
        await driver.press(*"t:fiel")
        await driver.until_shown("struct file ", "#types")
        await driver.until_shown("types · 2", "#type-finder")
        assert "struct file" in driver.text("#type-heading")
        assert "80 bytes · 2 cache lines of 64 · 4 members" in driver.text("#type-heading")


async def test_letters_typed_in_one_go_all_arrive() -> None:
    async with running(kernel_with_files()) as driver:
        for key in "t:qstr":  # as a paste or a slow line delivers them
            driver.app.post_message(Key(key, key))
        await driver.until(lambda: isinstance(driver.app.screen, TypesScreen) and driver.app.screen.ready)
        await driver.until(lambda: browser(driver).box.value == "t:qstr")
        await driver.until_shown("struct qstr", "#type-heading")


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_members_have_offsets_sizes_bits_and_holes(size: tuple[int, int]) -> None:
    async with running(kernel_with_files(), size=size) as driver:
        await open_type(driver, "t:file", "struct file")
        await driver.until_shown("f_slots", "#members")
        rows = [" ".join(line.split()) for line in driver.text("#members").splitlines()]
        for row in (
            "+0x000:0 3b f_ready unsigned int",
            "+0x000:3 29b hole",
            "+0x004 4 » f_state enum file_state",
            "+0x008 16 ▸ f_path struct path",
            "+0x018 48 ▸ f_slots struct dentry [2]",
            "1 +0x048 8 padding",
        ):
            assert row in rows


async def test_members_inside_open_and_close_in_place() -> None:
    async with running(kernel_with_files()) as driver:
        screen = await open_type(driver, "t:file", "struct file")
        closed = screen.members.row_count
        await go_to(driver, "f_slots")
        await driver.press("enter")
        await driver.until_shown("d_name", "#members")
        assert "[0] of 2, each 24 bytes" in driver.text("#type-detail")
        await go_to(driver, "d_name")
        await driver.press("space")
        await driver.until_shown("hash_len", "#members")  # nameless members are open from the start
        await go_to(driver, "hash_len")
        assert driver.text("#type-detail").startswith("file->f_slots[0].d_name.hash_len")
        await driver.press("left", "left", "left", "left")  # up to the union, close it, up to d_name, close it
        assert screen.members.selected is not None
        assert screen.members.selected.path == "file->f_slots[0].d_name"
        await driver.press("minus")
        await driver.until(lambda: screen.members.row_count == closed)
        await driver.press("plus")
        await driver.until(lambda: screen.members.row_count > closed)


async def test_a_pointer_leads_to_its_struct_and_back_again() -> None:
    async with running(kernel_with_files()) as driver:
        screen = await open_type(driver, "t:file", "struct file")
        await go_to(driver, "f_path")
        await driver.press("enter")
        await go_to(driver, "dentry")
        await driver.press("enter")
        await driver.until_shown("struct dentry  file->f_path.dentry", "#type-heading")
        assert "from struct file" in driver.text("#type-shown")
        await go_to(driver, "d_name")
        await driver.press("enter")
        await go_to(driver, "name")
        await driver.press("y")
        assert driver.app.clipboard == "file->f_path.dentry->d_name.name"
        await driver.press("escape")
        await driver.until_shown("struct file", "#type-heading")
        assert screen.members.selected is not None
        assert screen.members.selected.path == "file->f_path.dentry"
        await driver.press("escape")
        assert screen.focused is screen.types
        await driver.press("escape", "escape")
        await driver.until(lambda: driver.app.screen is driver.browse)
        assert driver.browse.search_box.value == ""


async def test_an_enum_shows_its_values() -> None:
    async with running(kernel_with_files()) as driver:
        await open_type(driver, "t:file", "struct file")
        await go_to(driver, "f_state")
        await driver.press("enter")
        await driver.until_shown("FILE_CLOSED          16  0x10", "#members")
        assert "enum file_state" in driver.text("#type-heading")


async def test_a_type_that_is_only_declared_is_said_to_be() -> None:
    async with running(kernel_with_files()) as driver:
        await open_type(driver, "t:path", "struct path")
        await driver.press("enter")
        await driver.until_shown("struct vfsmount is only declared")


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_the_types_of_a_prototype_open_from_the_function(size: tuple[int, int]) -> None:
    async with running(kernel_with_files(), size=size) as driver:
        await driver.type("vfs_read", "vfs_read")
        await driver.press("enter", "enter", "o")
        await driver.until_shown("file struct file", "#types")
        assert browser(driver).types.row_count == 1  # of char * and long there is nothing to see
        await driver.press("enter")
        await go_to(driver, "f_path")
        await driver.press("y")
        assert driver.app.clipboard == "file->f_path"
        await driver.press("Y")
        assert driver.app.clipboard.startswith("struct file {")
        await driver.press("escape", "escape")
        await driver.until(lambda: driver.app.screen is driver.browse)
        assert driver.browse.search_box.value == "vfs_read"


async def test_a_prototype_without_types_says_so() -> None:
    async with running(kernel_with_files()) as driver:
        await driver.type("schedule", "schedule")
        await driver.press("enter", "o")
        await driver.until_shown("schedule has no struct", "#types")


async def test_types_that_are_still_loading_appear_when_they_are_there() -> None:
    agent = kernel_with_files()
    types = agent.hold("btf:vmlinux")
    async with running(agent, load=False) as driver:
        await driver.until(lambda: driver.browse.functions.row_count)
        await driver.press(*"t:qstr")
        await driver.until_shown("types have not been", "#types")
        types.set()
        await driver.until_shown("struct qstr", "#types")


async def test_without_its_prefix_a_query_is_one_for_functions_again() -> None:
    async with running(kernel_with_files()) as driver:
        await driver.press(*"t:")
        await driver.until_shown("types · 25", "#type-finder")
        await driver.press("backspace")
        await driver.until(lambda: driver.app.screen is driver.browse)
        assert driver.browse.search_box.value == "t"
        assert driver.browse.focused is driver.browse.search_box


async def test_help_tells_the_keys() -> None:
    async with running(kernel_with_files()) as driver:
        await open_type(driver, "t:file", "struct file")
        await driver.press("question_mark")
        await driver.until(lambda: isinstance(driver.app.screen, HelpScreen))
        await driver.until_shown("members of a type (focused)")
        await driver.until_shown("Copy the member's path in C notation")


def test_every_binding_has_a_name_of_its_own_and_says_what_it_does() -> None:
    bindings = [b for holder in (TypesScreen, TypeBox, TypeList, TypeView) for b in holder.__dict__["BINDINGS"]]
    assert all(isinstance(binding, Binding) and binding.id and binding.tooltip for binding in bindings)
    assert len({binding.id for binding in bindings}) == len(bindings)


@pytest.mark.parametrize("size", [LARGE, SMALL])
async def test_every_pane_is_reached_by_tab(size: tuple[int, int]) -> None:
    async with running(kernel_with_files(), size=size) as driver:
        screen = await open_type(driver, "t:file", "struct file")
        for expected in (screen.box, screen.types, screen.members):
            await driver.press("tab")
            assert screen.focused is expected
        await driver.press("shift+tab")
        assert screen.focused is screen.types
        await driver.until(lambda: screen.types.size.height > 5)
