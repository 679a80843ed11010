"""Functions that ask first: what every probe's own recording runs through, and what is known to be deadly hot.

The guard acts within a second of such a flood, but that second may be the one too many, and a probe in the tracer's own
path counts its own work. The list is short on purpose; what is merely busy (``vfs_read``, ``handle_mm_fault``) is the
guard's to hold back.
"""

from __future__ import annotations

import dataclasses
import re

from explorer.session.probe_spec import ProbeSpec
from explorer.session.session import Session
from symbols.errors import KexploreError


@dataclasses.dataclass(frozen=True, slots=True)
class _Kind:
    pattern: re.Pattern[str]
    reason: str


def _kind(reason: str, *patterns: str) -> _Kind:
    return _Kind(re.compile("|".join(" ".join(patterns).split())), reason)


_KINDS = (
    _kind(
        "recording a hit runs through it, so that the probe would see its own work",
        "ring_buffer_(lock_reserve|unlock_commit|discard_commit|event_.*|nest_.*|time_stamp|poll_wait|wait|wake_.*)",
        "ring_buffer_read_page",
        "rb_(reserve_next_event|commit|move_tail|update_.*|wake_up_.*|advance_.*|get_reader_page) __rb_reserve_next",
        "trace_event_buffer_(reserve|commit|lock_reserve) trace_buffer_(lock_reserve|unlock_commit.*)",
        "tracing_buffers_(read|poll) tracing_gen_ctx.* kprobe_(dispatcher|ftrace_handler|trace_func)",
        "kretprobe_dispatcher kretprobe_trace_func rethook_.* copy_from_kernel_nofault",
        "strncpy_from_(kernel|user)_nofault ktime_get_mono_fast_ns",
        "trace_(call_bpf|filter_match|event_ignore_this_pid)",
    ),
    _kind(
        "it runs at every wake-up and context switch",
        "(__)?schedule context_switch finish_task_switch __switch_to(_asm)? pick_next_(task|entity).* put_prev_.*",
        "set_next_(task|entity).* try_to_wake_up ttwu_.* (en|de)queue_(task|entity).* update_curr.* update_load_avg",
        "update_rq_clock.* __update_load_avg.* sched_clock.* local_clock select_task_rq.*",
        "psi_(task_|group_)(switch|change) (scheduler|sched)_tick resched_curr check_preempt_curr wakeup_preempt",
        "preempt_(schedule|count).*",
    ),
    _kind(
        "every lock that is taken or released runs through it",
        "_raw_(spin|read|write)_.* native_queued_spin_.* queued_(spin|read|write)_.* mutex_(un|try)?lock",
        "(down|up)_(read|write) lock_(acquire|release) __mutex_(un)?lock.* osq_(un)?lock",
    ),
    _kind(
        "it runs at every page fault, interrupt or system call",
        "(asm_)?exc_(page_fault|int3|debug) do_user_addr_fault do_page_fault el[01]_.* (__)?irq_(enter|exit).*",
        "(asm_)?(common_interrupt|sysvec_(apic_timer|reschedule).*) (__)?do_softirq handle_softirqs",
        "do_syscall_64 entry_SYSCALL_64.*",
        "syscall_(enter|exit)_.* x64_sys_call invoke_syscall exit_to_user_.* irqentry_.*",
    ),
    _kind(
        "almost every allocation, or copy, runs through it",
        "kmem_cache_(alloc|free)(_.*)? __kmalloc.* kmalloc_(trace|large).* kfree ___?slab_alloc __slab_free",
        "(__)?mem(set|cpy|move)",
    ),
    _kind(
        "it runs at every timer tick, or all the time",
        "rcu_(note_context_switch|sched_clock_irq|core.*|read_(un)?lock.*|is_watching|qs) __rcu_read_(un)?lock",
        "call_rcu.* (__)?hrtimer_(interrupt|run_queues|start_range_ns|cancel|try_to_cancel) tick_(sched_|nohz_).*",
        "update_process_times (run_timer|__run_timer).* (__)?mod_timer ktime_get timekeeping_(advance|update).*",
        "cpuidle_(enter|select|reflect).* do_idle read_tsc",
    ),
)


class HotFunctionError(KexploreError):
    """A probe on a function that asks first, and nobody has answered."""


def reason(name: str) -> str:
    """Why a probe on this function asks first; "" where it need not."""
    base = name.split(".", 1)[0]  # a variant is as hot as the function it was made of
    return next((kind.reason for kind in _KINDS if kind.pattern.fullmatch(base)), "")


def question(session: Session, specs: list[ProbeSpec]) -> str:
    """What to ask before arming these; "" where nothing needs to be asked.

    Raises:
        KexploreError: One of them means no function.
    """
    hot = {spec: why for spec in specs if (why := _reason(session, spec))}
    if not hot:
        return ""
    spec, why = next(iter(hot.items()))
    others = f" (and {len(hot) - 1} more)" if len(hot) > 1 else ""
    return f"{spec}{others} is deadly hot: {why}. The guard holds it back within a second, but not before it has cost."


def require_force(session: Session, specs: list[ProbeSpec]) -> None:
    """Refuse, where nobody can be asked.

    Raises:
        HotFunctionError: One of them asks first.
        KexploreError: One of them means no function.
    """
    for spec in specs:
        why = _reason(session, spec)
        if why:
            raise HotFunctionError(f"{spec} is deadly hot: {why}", "--force arms it all the same, under the guard")


def _reason(session: Session, spec: ProbeSpec) -> str:
    symbol = session.resolve(spec)
    if symbol is None or session.catalog is None or not session.catalog.verdict(symbol).can_arm:
        return ""  # it is refused anyway, for another reason
    return reason(symbol.name)
