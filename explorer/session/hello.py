"""The agent's first message: which kernel it is, what can be done with it, and if nothing, why."""

from __future__ import annotations

import dataclasses
import re

from explorer.agent import protocol
from explorer.errors import AgentError
from symbols.errors import Category, KexploreError

CATEGORIES = {
    protocol.Code.NOT_PERMITTED.value: Category.NOT_PERMITTED,
    protocol.Code.KERNEL_CANNOT.value: Category.KERNEL_CANNOT,
    protocol.Code.REFUSED.value: Category.KERNEL_CANNOT,
    protocol.Code.NOT_A_BOUNDARY.value: Category.FAILED,
}
"""What sort of failure an agent's code stands for."""


@dataclasses.dataclass(frozen=True, slots=True)
class SnapshotOrigin:
    """How facts came into a snapshot: when, in words, and whether their addresses were left out on purpose."""

    taken: str
    addresses_left_out: bool

    @classmethod
    def from_member(cls, member: protocol.Message | None) -> SnapshotOrigin | None:
        """Read it from the first message; None where a kernel speaks for itself."""
        return None if member is None else cls(_text(member, "taken"), bool(member["addresses_left_out"]))


@dataclasses.dataclass(frozen=True, slots=True)
class Hello:
    """What the agent says of itself and its kernel.

    Attributes:
        can_probe: Whether probes can be armed there.
        cause: Why not, in words; "" when they can.
        hint: What to do about it.
        registers: Names of the registers that come with each event, in order.
        leftovers: Groups that dead sessions left armed.
        no_probes: Why this kernel takes no probes, whoever asks; "" when it does, or when that is not known.
        snapshot: What the facts were saved as, when no kernel answers but a file; else None.
        message: All of it, as it was said.
    """

    pid: int
    euid: int
    release: str
    version: str
    machine: str
    hostname: str
    cpus: int
    can_probe: bool
    code: str
    cause: str
    hint: str
    features: dict[str, bool]
    registers: tuple[str, ...]
    leftovers: tuple[str, ...]
    no_probes: str
    snapshot: SnapshotOrigin | None
    message: protocol.Message = dataclasses.field(repr=False, compare=False)

    @property
    def kernel_series(self) -> tuple[int, int]:
        """The first two numbers of its version; zeros when its name does not begin with them."""
        found = re.match(r"(\d+)\.(\d+)", self.release)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    @classmethod
    def from_message(cls, message: protocol.Message) -> Hello:
        """Read the agent's first message.

        Raises:
            AgentError: It speaks another version of the protocol, or no protocol at all.
        """
        if message.get("op") != "hello":
            raise AgentError(f"the agent began with {message.get('op')!r}")
        if message.get("version") != protocol.VERSION:
            raise AgentError(
                f"the agent speaks protocol {message.get('version')}, this explorer {protocol.VERSION}",
                "run the same kexplore on both sides",
            )
        try:
            kernel, probing, snapshot = message["kernel"], message["probing"], message.get("snapshot")
            code, cause = _text(probing, "code"), _text(probing, "cause")
            cannot = code == protocol.Code.KERNEL_CANNOT.value
            return cls(
                pid=int(message["pid"]), euid=int(message["euid"]), release=_text(kernel, "release"),
                version=_text(kernel, "version"), machine=_text(kernel, "machine"),
                hostname=_text(kernel, "hostname"), cpus=int(kernel["cpus"]), can_probe=bool(probing["can"]),
                code=code, cause=cause, hint=_text(probing, "hint"), features=dict(message["features"]),
                registers=tuple(map(str, message["registers"])), leftovers=tuple(map(str, message["leftovers"])),
                no_probes=_text(snapshot, "no_probes") if snapshot else cause if cannot else "",
                snapshot=SnapshotOrigin.from_member(snapshot), message=message,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise AgentError(f"the agent's hello is not understood ({type(error).__name__}: {error})") from None

    @property
    def judges_functions(self) -> bool:
        """Whether it matters which functions can be probed: not where none can, but in the snapshot of a kernel."""
        return self.can_probe or (self.snapshot is not None and not self.no_probes)

    @property
    def addresses_hidden_by(self) -> str:
        """Who hides the addresses where they are hidden, in words."""
        left_out = self.snapshot is not None and self.snapshot.addresses_left_out
        return "left out of the snapshot" if left_out else "hidden by the kernel (kptr_restrict)"

    def refusal(self) -> KexploreError | None:
        """Why nothing can be armed there, as an error; None when probes can."""
        if self.can_probe:
            return None
        return KexploreError(self.cause, self.hint, CATEGORIES.get(self.code, Category.KERNEL_CANNOT))

    def bpf_refusal(self) -> KexploreError | None:
        """Why the bpf engine cannot be used there, as an error; None when nothing is known to speak against it."""
        told = self.message.get("bpf")
        if told is None:
            return KexploreError("an older kexplore recorded this: it did not say whether there was bcc")
        if told["can"]:
            return None
        return KexploreError(_text(told, "cause"), _text(told, "hint"), Category.KERNEL_CANNOT)


def _text(members: protocol.Message, name: str) -> str:
    value = members[name]
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value or ""
