"""How a probe is armed, as far as that is a choice."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # aggregates are named after the values of probes, which remember their options
    from explorer.session.aggregates import Wanted


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How probes are armed.

    Attributes:
        registers: Whether all registers are recorded with each event, for the inspector.
        maxactive: For a return probe, how many calls may be under way at once; 0 leaves it to the kernel.
        condition: The filter of its hits; "" for none.
        mechanism: "kprobe", "fprobe", or "auto": the agent chooses, and says why.
        one_value: Whether only the first value is recorded, so that what hits cost can be compared.
        engine: "tracefs", "bpf", or "auto" likewise; None for the session's choice.
        stacks: "kernel", "user": the call stacks to record with each event.
        aggregate: What to count in the kernel in place of recording anything; None: hits are recorded.
    """

    registers: bool = True
    maxactive: int = 0
    condition: str = ""
    mechanism: str = "auto"
    one_value: bool = False
    engine: str | None = None
    stacks: tuple[str, ...] = ()
    aggregate: Wanted | None = None

    @property
    def needs_bpf(self) -> bool:
        """Whether only the bpf engine can do that."""
        return self.engine == "bpf" or bool(self.stacks) or self.aggregate is not None
