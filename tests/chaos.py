"""Random things done to sessions on a real kernel, and whether the kernel is afterwards as it was before.

    kexplore lab -- .venv/bin/python -m tests.chaos --seeds 10 --actions 300

Up to two agents at a time arm, filter, count and disarm under a workload, are asked to end, or are killed, with or
without the process that outlives them; somebody else's probes stand beside them. What happens follows from the seed;
when it happens does not. Run it as root where kprobes are.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from tests.agent_driver import Agent, Refused
from tests.lab.tracing_state import DEADLINE, TRACEFS, tracing_state

FUNCTIONS = (
    "do_sys_openat2", "vfs_read", "vfs_write", "__x64_sys_getpgid", "do_nanosleep", "vfs_open", "vfs_getattr",
    "path_openat", "kernel_clone", "do_exit", "__x64_sys_close", "vfs_fstat", "security_file_open", "filp_close",
    "no_such_function",
)  # fmt: skip
WORKLOAD = "while :; do cat /etc/passwd /nonexistent; sleep 0.05; done"
FLOOD = "import os\nfor number in range(20000): os.getpgid(0)"
FOREIGN = {"chaos_foreign/opened": "do_sys_openat2", "chaos_foreign/read": "vfs_read"}
FOREIGN_INSTANCE = TRACEFS / "instances/chaos_foreign"
_BUSY = ("hrtimer: interrupt took", "clocksource: timekeeping watchdog", "TSC found unstable")
"""What a kernel says when the machine around an emulated one was busy."""
_MORE_STATE = (
    "kprobe_events", "set_event", "set_event_pid", "set_ftrace_filter", "set_ftrace_notrace", "set_ftrace_pid",
    "current_tracer", "tracing_on", "trace_options", "trace_clock", "buffer_size_kb", "stack_trace_filter",
)  # fmt: skip


def whole_state() -> dict[str, str]:
    """Everything of tracefs that a session could change."""
    state = tracing_state()
    for name in _MORE_STATE:
        with contextlib.suppress(FileNotFoundError):
            state[name] = (TRACEFS / name).read_text()
    for instance in sorted((TRACEFS / "instances").iterdir()):
        state[f"{instance.name}/set_event"] = (instance / "set_event").read_text()
    return state


def digest(state: dict[str, str]) -> str:
    """A state in a few letters."""
    return hashlib.sha256(repr(sorted(state.items())).encode()).hexdigest()[:16]


def warnings_of_the_kernel() -> str:
    """What it complained about since it was booted; not that the machine around an emulated one was busy."""
    said = subprocess.run(["dmesg", "--level=emerg,alert,crit,err,warn"], capture_output=True, text=True).stdout
    return "".join(line for line in said.splitlines(keepends=True) if not any(words in line for words in _BUSY))


def append(line: str) -> None:
    """Change the definitions of everybody."""
    definitions = os.open(TRACEFS / "dynamic_events", os.O_WRONLY | os.O_APPEND)
    try:
        os.write(definitions, line.encode())
    finally:
        os.close(definitions)


@contextlib.contextmanager
def somebody_elses_probes() -> Iterator[None]:
    """Probes of another user, armed in the global buffer and in an instance."""
    FOREIGN_INSTANCE.mkdir()
    for event, function in FOREIGN.items():
        append(f"p:{event} {function}")
        for top in (TRACEFS, FOREIGN_INSTANCE):
            (top / "events" / event / "enable").write_text("1")
    try:
        yield
    finally:
        for event in FOREIGN:
            for top in (TRACEFS, FOREIGN_INSTANCE):
                (top / "events" / event / "enable").write_text("0")
        FOREIGN_INSTANCE.rmdir()
        for event in FOREIGN:
            append(f"-:{event}")


def foreign_hits() -> list[int]:
    """What the kernel counted for them."""
    lines = (TRACEFS / "kprobe_profile").read_text().splitlines()
    hits = {line.split()[0]: int(line.split()[1]) for line in lines}
    return [hits[event.split("/")[1]] for event in FOREIGN]


class Chaos:
    """One run.

    Args:
        seed: What happens follows from it.

    Attributes:
        done: How often each action was done.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._agents: list[Agent] = []
        self._armed: dict[int, list[int]] = {}
        self.done: Counter[str] = Counter()
        self._actions: tuple[tuple[int, Callable[[Agent], None]], ...] = (
            (12, self.arm), (8, self.disarm), (4, self.filter), (3, self.offset), (4, self.group), (3, self.ungroup),
            (3, self.flood), (2, self.budget), (2, self.focus), (3, self.count), (1, self.deadline), (2, self.quit),
            (2, self.signal), (1, self.garbage), (2, self.hang_up), (3, self.kill), (1, self.kill_survivor),
            (1, self.kill_both), (2, self.second),
        )  # fmt: skip

    def run(self, actions: int) -> None:
        """Do so many things, then end every session."""
        weights = [weight for weight, _ in self._actions]
        for _ in range(actions):
            if not self._agents:
                self._start()
            [(_, action)] = self._random.choices(self._actions, weights)
            agent = self._random.choice(self._agents)
            name = action.__name__
            try:
                action(agent)
            except Refused:
                name += ", refused"
            self.done[name] += 1
        for agent in list(self._agents):
            self.quit(agent)

    def stop(self) -> None:
        """End what an error has left."""
        for agent in self._agents:
            agent.stop(signal.SIGKILL)

    def _start(self) -> None:
        agent = Agent()
        self._agents.append(agent)
        self._armed[id(agent)] = []
        agent.credit(10**6)
        if agent.hello["leftovers"]:
            agent.ask("clean")
            self.done["sweep at a start"] += 1

    def _gone(self, agent: Agent) -> None:
        self._agents.remove(agent)
        del self._armed[id(agent)]
        agent.stop()

    def _probe(self, symbol: str, **more: Any) -> dict[str, Any]:
        kind = self._random.choice(("entry", "entry", "return")) if not more else "entry"
        values: list[dict[str, Any]] = [{"register": "si", "dereference": [], "type": "s64"}]
        if kind == "return":
            values = [{"return": True, "dereference": [], "type": "s64"}]
        elif symbol == "do_sys_openat2" and not more:
            values.append({"register": "si", "dereference": [0], "type": "string"})
        return {"symbol": symbol, "kind": kind, "values": values, "registers": self._random.random() < 0.5, **more}

    def _filter(self) -> dict[str, Any] | None:
        condition = [self._random.choice(("<", ">=", "!=")), ["value", 0], self._random.randint(-2, 100)]
        return self._random.choice((None, {"kernel": [condition], "agent": []}, {"kernel": [], "agent": [condition]}))

    def arm(self, agent: Agent) -> None:
        probe = self._probe(self._random.choice(FUNCTIONS))
        self._armed[id(agent)].append(agent.ask("arm", probe=probe, filter=self._filter())["probe"])

    def offset(self, agent: Agent) -> None:
        probe = self._probe("vfs_read", offset=self._random.randint(1, 400))
        self._armed[id(agent)].append(agent.ask("arm", probe=probe)["probe"])

    def group(self, agent: Agent) -> None:
        probes = [{"probe": self._probe(each), "filter": None} for each in self._random.sample(FUNCTIONS, 8)]
        results = agent.ask("arm_many", probes=probes)["results"]
        self._armed[id(agent)] += [result["probe"] for result in results if "probe" in result]

    def disarm(self, agent: Agent) -> None:
        if armed := self._armed[id(agent)]:
            number = armed.pop(self._random.randrange(len(armed)))
            self._check_sum(agent, number, agent.disarm(number))

    def ungroup(self, agent: Agent) -> None:
        if armed := self._armed[id(agent)]:
            counters = agent.ask("disarm_many", probes=armed[:8])["counters"]
            del armed[:8]
            for number, counts in counters.items():
                self._check_sum(agent, int(number), counts)

    def _check_sum(self, agent: Agent, number: int, counters: list[int]) -> None:
        hits, _, lost, filtered, not_shown = counters
        assert hits == len(agent.rows_of(number)) + lost + filtered + not_shown, (number, counters)

    def filter(self, agent: Agent) -> None:
        if armed := self._armed[id(agent)]:
            agent.ask("filter", probe=self._random.choice(armed), filter=self._filter())

    def flood(self, agent: Agent) -> None:
        self._armed[id(agent)].append(agent.arm("__x64_sys_getpgid"))
        subprocess.run([sys.executable, "-I", "-S", "-c", FLOOD], check=True)

    def budget(self, agent: Agent) -> None:
        agent.ask("budget", rate=self._random.choice((None, 50, 5000)), share=self._random.choice((None, 0.02)))

    def focus(self, agent: Agent) -> None:
        agent.ask("focus", pids=self._random.choice(([], [1], [os.getpid()])))

    def count(self, agent: Agent) -> None:
        agent.ask("count", functions=[[each, ""] for each in self._random.sample(FUNCTIONS, 4)], rate=None, share=0.02)
        if self._random.random() < 0.7:
            agent.ask("uncount")

    def deadline(self, agent: Agent) -> None:
        agent.expired = {}
        before = set(self._armed[id(agent)])
        agent.ask("deadline", seconds=0.01)
        agent.wait(lambda: before <= set(agent.expired))
        for number, counters in agent.expired.items():
            self._check_sum(agent, number, counters)
        self._armed[id(agent)].clear()
        agent.ask("deadline", seconds=None)

    def quit(self, agent: Agent) -> None:
        assert agent.quit() == []
        self._gone(agent)

    def signal(self, agent: Agent) -> None:
        agent.process.send_signal(self._random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
        assert agent.end() == 0, agent.problems
        self._gone(agent)

    def garbage(self, agent: Agent) -> None:
        agent.write(self._random.randbytes(30).replace(b"\0", b"x"))
        assert agent.end() == 1
        self._gone(agent)

    def hang_up(self, agent: Agent) -> None:
        agent.input.close()
        assert agent.end() == 0, agent.problems
        self._gone(agent)

    def kill(self, agent: Agent) -> None:
        agent.process.kill()
        self._gone(agent)

    def kill_survivor(self, agent: Agent) -> None:
        for survivor in agent.survivors():
            os.kill(survivor, signal.SIGKILL)

    def kill_both(self, agent: Agent) -> None:
        agent.kill_with_survivors()
        self._gone(agent)

    def second(self, agent: Agent) -> None:
        if len(self._agents) < 2:
            self._start()


def run(seed: int, actions: int) -> Counter[str]:
    """One run, and everything that must hold after it; how often each action was done.

    Raises:
        AssertionError: Something does not hold.
    """
    complaints = warnings_of_the_kernel()
    with (
        somebody_elses_probes(),
        subprocess.Popen(
            ["sh", "-c", WORKLOAD], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
        ) as work,
    ):
        before, counted = whole_state(), foreign_hits()
        chaos = Chaos(seed)
        try:
            chaos.run(actions)
        finally:
            chaos.stop()
            os.killpg(work.pid, signal.SIGKILL)
        with_agent = Agent()  # as the next start would
        with_agent.ask("clean")
        with_agent.quit()
        with_agent.stop()
        end = time.monotonic() + DEADLINE
        while (after := whole_state()) != before and time.monotonic() < end:
            time.sleep(0.05)
        assert after == before
        assert digest(after) == digest(before)
        hits = foreign_hits()
        assert all(now > then for now, then in zip(hits, counted, strict=True)), "somebody else's probes count on"
        for event in FOREIGN:
            assert (FOREIGN_INSTANCE / "events" / event / "enable").read_text().strip() == "1"
    new = warnings_of_the_kernel().removeprefix(complaints)
    assert not new, new
    return chaos.done


def main() -> None:
    """Run seeds and print what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--actions", type=int, default=300)
    options = parser.parse_args()
    for seed in range(options.first, options.first + options.seeds):
        begin = time.monotonic()
        done = run(seed, options.actions)
        what = ", ".join(f"{name} {count}" for name, count in sorted(done.items()))
        print(
            f"seed {seed}: {options.actions} actions in {time.monotonic() - begin:.0f} s, all as before: {what}",
            flush=True,
        )


if __name__ == "__main__":
    main()
