"""Why the kernel refused a probe: its error numbers and terse words turned into a cause and a next step.

Error numbers alone do not tell: an unknown symbol is ENOENT on some kernels and EINVAL on others, a wrong offset is
"Invalid or incomplete multibyte or wide character". The words in ``error_log`` come first, then the numbers; where the
kernel says the same for several causes, the cause is worked out from its own lists.
"""

from __future__ import annotations

import errno

from explorer.agent.definitions import DefinitionRefused
from explorer.agent.facts import Facts
from explorer.agent.failure import RequestError
from explorer.agent.kernel_text import KernelText, Symbol
from explorer.agent.probe_definition import ProbeRequest
from explorer.agent.protocol import Code

_BOUNDARIES_HINT = "kexplore disassemble SYMBOL lists the offsets at which instructions begin"


def not_defined(
    refused: DefinitionRefused, request: ProbeRequest, place: str, text: KernelText, root: str
) -> RequestError:
    """Why a definition was refused.

    Args:
        refused: By which error and with which complaint.
        request: The probe.
        place: Where, as it was put to the kernel.
        text: To look causes up.
        root: The directory that the machine's file tree begins at.
    """
    error, complaint = refused.error, refused.complaint
    if "not unique" in complaint or error.errno == errno.EADDRNOTAVAIL:
        return _not_unique(request, text)
    if "Invalid probed address or symbol" in complaint or (not complaint and error.errno == errno.ENOENT):
        return RequestError(
            Code.UNKNOWN_SYMBOL, f"this kernel has no function {place}", f"try: kexplore search {request.symbol}"
        )
    if "instruction boundary" in complaint or error.errno == errno.EILSEQ:
        return RequestError(Code.NOT_A_BOUNDARY, f"no instruction begins at {place}", _BOUNDARIES_HINT)
    if error.errno in (errno.EPERM, errno.EACCES):
        return RequestError(Code.NOT_PERMITTED, "the kernel forbids probes", "kexplore doctor says what forbids them")
    if error.errno == errno.EINVAL and (not complaint or "Failed to register" in complaint):
        return _not_registered(request, place, text, root)
    return RequestError(Code.REFUSED, f"the kernel refused a probe at {place}: {complaint or error.strerror}")


def not_attached(error: OSError, request: ProbeRequest, place: str, text: KernelText, root: str) -> RequestError:
    """Why a probe of the bpf engine could not be armed, which the kernel tells by a number alone."""
    if error.errno == errno.EBUSY:
        return not_enabled(error, place)
    return not_defined(DefinitionRefused(error, ""), request, place, text, root)


def not_enabled(error: OSError, place: str) -> RequestError:
    """Why a probe that was defined could not be armed."""
    if error.errno == errno.EBUSY:
        return RequestError(
            Code.REFUSED,
            f"another tool has taken {place} over",
            "a live patch does that: see the fact enabled_functions",
        )
    return RequestError(Code.REFUSED, f"the kernel could not arm the probe at {place}: {error.strerror}")


def module_not_loaded(module: str) -> RequestError:
    """The kernel would accept such a probe in silence, and it would never fire."""
    return RequestError(
        Code.UNKNOWN_SYMBOL, f"no module {module} is loaded",
        f"load it first (modprobe {module}); if it is built into the kernel, leave its name out",
    )  # fmt: skip


def check_offset(text: KernelText, request: ProbeRequest) -> None:
    """Make sure that an offset stays inside its function: the kernel would arm whatever lies there.

    Raises:
        RequestError: It does not.
    """
    instances = text.instances(request.symbol, request.module)
    if len(instances) == 1 and request.offset >= instances[0].end - instances[0].start:
        raise _past_the_end(instances[0], request.offset, text)


def place_of_address(text: KernelText, address: int) -> str:
    """A place for an address, in a form that the kernel takes for entries and returns alike.

    It takes bare addresses too, but then refuses ``$retval`` (6.12), and accepts any number in silence.

    Raises:
        RequestError: There is no code at that address.
    """
    core = text.core()
    if core is None:
        raise RequestError(
            Code.NOT_PERMITTED, "this kernel hides its addresses", "as root: sysctl kernel.kptr_restrict=1"
        )
    if core.base <= address < core.end:
        return f"_text+{address - core.base}"
    found = text.at(address)
    if found is None or not found.symbol.module:
        raise RequestError(Code.UNKNOWN_SYMBOL, f"there is no code of the kernel at {address:#x}")
    offset = f"+{found.offset}" if found.offset else ""
    return f"{found.symbol.module}:{found.symbol.name}{offset}"


def _not_unique(request: ProbeRequest, text: KernelText) -> RequestError:
    addresses = ", ".join(f"{symbol.start:#x}" for symbol in text.instances(request.symbol, request.module))
    return RequestError(
        Code.NOT_UNIQUE, f"several functions are named {request.symbol}",
        f"pick one by its address: {addresses}" if addresses else "pick one by its address",
    )  # fmt: skip


def _not_registered(request: ProbeRequest, place: str, text: KernelText, root: str) -> RequestError:
    """Blacklisted, discarded, data, notrace: one EINVAL for all."""
    if request.address is not None:
        found = text.at(request.address)
        symbol, address = (found.symbol if found else None), request.address
    else:
        instances = text.instances(request.symbol, request.module)
        symbol = instances[0] if instances else None
        address = symbol.start + request.offset if symbol else 0
    if symbol is None:
        return RequestError(Code.REFUSED, f"the kernel refused a probe at {place} and does not say why")
    if not symbol.is_code:
        return RequestError(Code.REFUSED, f"{symbol.name} is data, not a function")
    if text.is_discarded(address):
        return RequestError(
            Code.REFUSED, f"{symbol.name} is gone from memory: it is code that ran while the kernel booted (__init)"
        )
    covering = text.blacklisted(address)
    if covering:
        return RequestError(
            Code.REFUSED, f"the kernel forbids probes in {symbol.name}: it is in the kprobe blacklist",
            f"the entry is {covering}; probes are made of such code themselves: probe its callers",
        )  # fmt: skip
    if _is_notrace(root, symbol):
        return RequestError(
            Code.REFUSED, f"{symbol.name} is built without tracing (notrace), and this kernel refuses probes there",
            "a kernel with CONFIG_KPROBE_EVENTS_ON_NOTRACE would accept them; probe its callers",
        )  # fmt: skip
    return RequestError(Code.REFUSED, f"the kernel refused a probe at {place} and does not say why")


def _is_notrace(root: str, symbol: Symbol) -> bool:
    try:
        traced = Facts(root).text("available_filter_functions")
    except RequestError:
        return False  # not to be told; the refusal stands without it
    return all(line.split(" ", 1)[0] != symbol.name for line in traced.splitlines())


def _past_the_end(symbol: Symbol, offset: int, text: KernelText) -> RequestError:
    size = symbol.end - symbol.start
    found = text.at(symbol.start + offset)
    beyond = ""
    if found is not None:
        beyond = f"; there is {found.symbol.name}" + (f"+{found.offset}" if found.offset else "")
    return RequestError(
        Code.BAD_REQUEST, f"{symbol.name} is {size} bytes long: +{offset} lies beyond it{beyond}", _BOUNDARIES_HINT
    )
