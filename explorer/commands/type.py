"""``kexplore type``: a struct, union, enum or typedef of the kernel or a module, with its layout."""

from __future__ import annotations

import argparse
import asyncio
import json

from explorer.commands.connection import narrate, session
from explorer.errors import ExitCode
from explorer.session.loading import Stage
from symbols.errors import UnknownTypeError
from symbols.type_text import to_json, to_text

_STAGES = frozenset({Stage.NAMES, Stage.PROTOTYPES})


def run(options: argparse.Namespace) -> int:
    """Print every type of that name."""
    return asyncio.run(_run(" ".join(options.name), options.json, options.kernel))


async def _run(name: str, as_json: bool, snapshot: str | None) -> int:
    async with session(_STAGES, snapshot=snapshot) as current:
        assert current.catalog is not None
        types = current.catalog.types()
        found = types.find(name)
        if not found:
            raise UnknownTypeError(name, types.nearest(name))
        for number, named in enumerate(found):
            if as_json:
                print(json.dumps(to_json(named)))
            else:
                module = f"// module {named.module}\n" if named.module else ""
                print(("\n" if number else "") + module + to_text(named))
        for fact, error in current.loading.failures.items():
            if fact.startswith("btf"):
                narrate(f"{fact}: {error.message}")
        return ExitCode.OK
