"""What dead sessions left in the kernel, removed by the next session that may arm something."""

from __future__ import annotations

from explorer.session.session import Session


async def sweep(session: Session) -> list[tuple[str, str]]:
    """Remove what dead sessions left; sessions that live are not touched.

    Returns:
        What there is to tell: (message, hint), one for each outcome.

    Raises:
        AgentError: The agent could not look.
    """
    hello = session.hello
    if hello is None or not hello.leftovers or not hello.can_probe:
        return []
    answer = await session.clean()
    told = []
    if answer["removed"]:
        told.append((f"removed what a dead session had left armed: {', '.join(answer['removed'])}", ""))
    if answer["failed"]:
        told.append((f"a dead session left what cannot be removed: {', '.join(answer['failed'])}", "kexplore clean"))
    return told
