"""The keys for a function that is looked at, the same in the list and on the card."""

from __future__ import annotations

from textual.binding import Binding, BindingType


def function_keys(pane: str, *, shown: bool) -> list[BindingType]:
    """The bindings; what they do is up to the screen.

    Args:
        pane: What their ids begin with, which users' key maps name.
        shown: Whether the key bar has room for those that lead elsewhere.
    """
    return [
        Binding(
            "space", "screen.toggle_probe('entry')", "Probe", key_display="Space", id=f"{pane}.entry-probe",
            tooltip="Arm or disarm a probe at the entry of the function: each call shows its arguments",
        ),
        Binding(
            "r", "screen.toggle_probe('return')", "Return", id=f"{pane}.return-probe",
            tooltip="Arm or disarm a probe at the return of the function: each call shows what it returned",
        ),
        Binding(
            "b", "screen.toggle_probe('call')", "Both", show=False, id=f"{pane}.call-probe",
            tooltip="Arm or disarm both as one: each call shows its arguments, what it returned and how long it took",
        ),
        Binding(
            "v", "screen.toggle_variants", "Variants", show=False, id=f"{pane}.variants",
            tooltip="Arm or disarm entry probes on the function and what the compiler made of it (.isra, .part ...)",
        ),
        Binding(
            "n", "screen.next_of_kin(1)", "Next of the name", show=False, id=f"{pane}.next-of-kin",
            tooltip="The next function that comes of the same name: the one to arm where several share it",
        ),
        Binding(
            "N", "screen.next_of_kin(-1)", "Previous of the name", show=False, id=f"{pane}.previous-of-kin",
            tooltip="The previous function that comes of the same name",
        ),
        Binding(
            "o", "screen.types", "Types", show=shown, id=f"{pane}.types",
            tooltip="Open the structs, unions and enums of its parameters and of what it returns",
        ),
        Binding(
            "i", "screen.inlined", "Inlined", show=False, id=f"{pane}.inlined",
            tooltip="The places where the function was inlined, to arm probes there",
        ),
        Binding(
            "a", "screen.code", "Code", show=shown, id=f"{pane}.code",
            tooltip="Open its instructions, to put probes inside it",
        ),
        Binding("y", "screen.copy", "Copy", show=shown, id=f"{pane}.copy", tooltip="Copy the prototype"),
    ]  # fmt: skip
