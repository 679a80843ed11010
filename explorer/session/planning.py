"""Plans probes: what each reads and filters, and which requests have the agent arm it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from explorer.agent.protocol import Message
from explorer.session import calls, places
from explorer.session.aggregates import Aggregate
from explorer.session.filters.filter import Filter, compile_filter
from explorer.session.filters.of_calls import compile_for_call, together
from explorer.session.filters.scope import Scope
from explorer.session.options import Options
from explorer.session.probe import Field, Probe, plan_reads
from explorer.session.probe_spec import ProbeKind, ProbeSpec
from symbols.abi.conventions import CONVENTIONS
from symbols.prototype import Prototype
from symbols.symbol import Symbol

if TYPE_CHECKING:
    from explorer.session.session import Session

Requests = list[tuple[Probe, Message]]
"""What the agent knows as probes, and the members of the request that arms each."""


class Planning:
    """Plans the probes of a session.

    Args:
        session: Whose kernel they are for.

    Attributes:
        engine: Of probes that do not say otherwise.
    """

    def __init__(self, session: Session) -> None:
        self.engine = "auto"
        self._session = session

    async def probe(self, spec: ProbeSpec, options: Options) -> Probe:
        """A probe that is not armed yet; of a call, with both of its probes.

        Raises:
            KexploreError: There is no such place, or the condition means nothing there.
        """
        if spec.kind is ProbeKind.CALL:
            entry, returns = [await self.probe(half, Options()) for half in calls.halves(spec)]
            probe = calls.join(spec, entry, returns, CONVENTIONS.get(self._session.opened().machine))
        else:
            symbol = self._session.resolve(spec)
            prototype, fields, reads = await self._reads(spec, symbol)
            if options.one_value:
                fields, reads = fields[:1], reads[: sum(field.reads for field in fields[:1])]
            probe = Probe(spec, prototype, fields, places.offset_in(spec, symbol), reads=reads)
        probe.options = dataclasses.replace(options, engine=options.engine or self.engine)
        chosen = self.filters(probe, options.condition)
        for part, each in zip(probe.parts, chosen, strict=True):
            part.filter = each
            part.maxactive = probe.maxactive = options.maxactive if part.spec.kind is ProbeKind.RETURN else 0
        probe.filter = together(chosen)
        if options.aggregate is not None:
            probe.aggregate = Aggregate(options.aggregate)
        return probe

    def filters(self, probe: Probe, condition: str) -> list[Filter | None]:
        """What a filter asks at each end of a call, or of a probe.

        Raises:
            FilterError: It means nothing there.
        """
        if probe.calls is not None:
            return list(compile_for_call(condition, *map(self.scope, probe.parts)))
        return [compile_filter(condition, self.scope(probe)) if condition.strip() else None]

    def scope(self, probe: Probe) -> Scope:
        """What a filter may name at a probe."""
        return Scope(probe.spec, probe.fields, self._session.opened().machine)

    async def requests(self, probe: Probe) -> Requests:
        """What arms a probe: a call takes two, of which the second is paired with the first.

        Raises:
            KexploreError: The place cannot be probed; what the kernel would refuse vaguely is refused with the cause.
        """
        place, options = await self._place(probe.spec), probe.options
        return [
            (
                part,
                {
                    "probe": {
                        **place, "kind": part.spec.kind.value, "values": part.reads, "registers": options.registers,
                        "maxactive": part.maxactive, "mechanism": options.mechanism,
                        "engine": options.engine, "stacks": options.stacks,
                        "aggregate": options.aggregate and options.aggregate.members(part),
                    },
                    "filter": part.filter and part.filter.to_request(),
                    **({"pair": True} if part is not probe.parts[0] else {}),
                },
            )
            for part in probe.parts
        ]  # fmt: skip

    async def _reads(
        self, spec: ProbeSpec, symbol: Symbol | None
    ) -> tuple[Prototype | None, tuple[Field, ...], list[dict[str, Any]]]:
        """What to read at each hit."""
        session = self._session
        prototype = session.catalog.prototype(symbol) if session.catalog and symbol else None
        offset = places.offset_in(spec, symbol)
        inlined = await session.debuginfo.arguments_at(symbol, offset) if symbol and offset else ()
        return prototype, *plan_reads(spec, prototype, CONVENTIONS.get(session.opened().machine), offset, inlined)

    async def _place(self, spec: ProbeSpec) -> dict[str, Any]:
        """A place as the protocol has it."""
        session = self._session
        refusal = session.opened().refusal()
        if refusal is not None:
            raise refusal
        symbol = session.resolve(spec)
        if session.catalog is not None:
            places.check(session.catalog, spec, symbol)
            if symbol is not None:
                await session.code.check(session.catalog, spec, symbol, places.offset_in(spec, symbol))
        if spec.address is not None:
            return {"address": spec.address}
        return {"symbol": spec.symbol, "module": spec.module or (symbol and symbol.module) or "", "offset": spec.offset}
