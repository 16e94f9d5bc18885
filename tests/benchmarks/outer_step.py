"""How long a whole outer step takes, ours and others': python tests/benchmarks/outer_step.py [--quick]

An outer step is sampling the tasks, the meta-gradient and the Adam step. Everything runs in one
process and on one thread; the implementations take turns, so that a busy machine slows all alike, and
medians are compared. Nothing is timed before its meta-gradient has been checked.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import torch
from contenders import CONTENDERS, Contender, Setting, Unavailable, first_theta, ours, plain_loop, sampler

TOLERANCE = 1e-4
"""Largest accepted distance of a float32 meta-gradient from the float64 one, relative to its length."""

TURN_SECONDS = 0.02
"""A turn repeats fast implementations for about this long."""

GROWTH_TASKS = (25, 50, 100, 200, 400)
GROWTH_STEPS = (1, 2, 5, 10, 20)


def check_gradient(name: str, contender: Contender, setting: Setting) -> float:
    """Abort unless the contender agrees, on the same tasks, with the plain loop in float64."""
    theta = first_theta()
    tasks = sampler(setting, seed=2)()
    got = contender.gradient(theta, tasks)
    double = tasks._replace(support=_double(tasks.support), query=_double(tasks.query))
    true = plain_loop(setting).gradient({key: p.double() for key, p in theta.items()}, double)
    distance = torch.stack([(got[key].double() - true[key]).norm() for key in true]).norm()
    error = float(distance / torch.stack([g.norm() for g in true.values()]).norm())
    if not error < TOLERANCE:
        raise SystemExit(f"ABORTED: the meta-gradient of {name!r} at {setting} is off by {error:.1e} of its length")
    return error


def _double(batch):
    return type(batch)(*(part.double() for part in batch))


def take_turns(contenders: dict[str, Contender], rounds: int) -> dict[str, list[float]]:
    """Time the contenders round-robin; give each one's milliseconds an outer step, a number a round."""
    repeats = {name: _warm_up(contender.run) for name, contender in contenders.items()}
    times = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, contender in contenders.items():
            start = time.perf_counter()
            for _ in range(repeats[name]):
                contender.run()
            elapsed = time.perf_counter() - start
            times[name].append(1000 * elapsed / (repeats[name] * contender.chunk))
    return times


def _warm_up(run: Callable[[], object]) -> int:
    """Run until caches are warm; return how many runs make up one turn."""
    run()
    start = time.perf_counter()
    run()
    return max(1, round(TURN_SECONDS / (time.perf_counter() - start)))


def build(names: list[str], setting: Setting) -> dict[str, Contender]:
    """Make and check the contenders; say which cannot run here, and why."""
    contenders = {}
    for name in names:
        try:
            contenders[name] = CONTENDERS[name](setting)
        except Unavailable as reason:
            print(f"- {name}: skipped, {reason}")
            continue
        error = check_gradient(name, contenders[name], setting)
        print(f"- {name}: same meta-gradient, relative error {error:.0e}", flush=True)
    return contenders


def compare(names: list[str], setting: Setting, rounds: int) -> None:
    """Print the table of one setting."""
    print(f"\n### {setting.tasks} tasks, {_count(setting.steps, 'inner step')}\n")
    contenders = build(names, setting)
    times = take_turns(contenders, rounds)
    base = median(times["ours"])
    print("\n| implementation | ms, median (quartiles) | times ours | compile, s |\n|---|--:|--:|--:|")
    for name, ms in times.items():
        seconds = contenders[name].compile_seconds
        compile_time = "" if seconds is None else f"{seconds:.1f}"
        print(f"| {name} | {_spread(ms)} | {median(ms) / base:.2f} | {compile_time} |", flush=True)


def growth(title: str, settings: list[Setting], rounds: int) -> None:
    """Print how the cost of ours grows over ``settings``."""
    times = take_turns({setting: ours(setting) for setting in settings}, rounds)
    base = median(times[settings[0]])
    print(f"\n### {title}\n\n| tasks | inner steps | ms, median (quartiles) | times the first |\n|--:|--:|--:|--:|")
    for setting, ms in times.items():
        print(f"| {setting.tasks} | {setting.steps} | {_spread(ms)} | {median(ms) / base:.2f} |", flush=True)


def memory(early: int, late: int) -> None:
    """Print by how much this process grows between two numbers of outer steps of `meta_train`."""
    if not Path("/proc/self/statm").exists():
        print("\nMemory: skipped, this system has no /proc/self/statm")
        return
    run, sizes = ours(Setting(25, 1)).run, {}
    for step in range(1, late + 1):
        run()
        if step in (early, late):
            sizes[step] = _resident_megabytes()
    print("\n### Memory of ours\n\n| outer steps | resident, MB |\n|--:|--:|")
    print("\n".join(f"| {step:,} | {size:.1f} |" for step, size in sizes.items()))
    print(f"| difference | {sizes[late] - sizes[early]:+.2f} |", flush=True)


def _resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _spread(ms: list[float]) -> str:
    low, middle, high = quantiles(ms, n=4, method="inclusive")
    return f"{middle:.3f} ({low:.3f} – {high:.3f})"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rounds, 25 tasks only: a first impression")
    parser.add_argument("--tasks", type=int, nargs="+", help="numbers of tasks (25 400)")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5], help="numbers of inner steps (1 5)")
    parser.add_argument("--implementations", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, help="turns that each implementation gets (20)")
    return parser.parse_args()


def main() -> None:
    """Print all tables as Markdown."""
    args = arguments()
    torch.set_num_threads(1)
    rounds = args.rounds or (7 if args.quick else 20)
    names = ["ours"] + [name for name in args.implementations if name != "ours"]
    memory(1_000, 2_000 if args.quick else 20_000)  # first, while nothing else has been loaded
    growth("Growth of ours with tasks", [Setting(tasks, 1) for tasks in GROWTH_TASKS], rounds)
    growth("Growth of ours with inner steps", [Setting(25, steps) for steps in GROWTH_STEPS], rounds)
    for tasks in args.tasks or ([25] if args.quick else [25, 400]):
        for steps in args.steps:
            compare(names, Setting(tasks, steps), rounds)


if __name__ == "__main__":
    main()
