"""What steps at test time cost: processor time of adapting to one wave and answering 50 x, beside one forward pass.

    python tests/benchmarks/steps_at_test.py

Prints the median of 15 runs on one thread, and its ratio to in-context learning's one pass.
"""

import statistics
import time

import torch
from torch import Generator

from mapping_lib.chapters.what_came_after.study_contestants import waves
from mapping_lib.chapters.what_came_after.study_test_time import ALPHA, MAML_ALPHA, M, by_steps, maml_by_steps
from mapping_lib.study.sinusoids import shipped
from mapping_lib.task import each

CONTENDERS = {
    "in-context": shipped("in_context"),
    "test-time steps": by_steps(ALPHA, M),
    "plain steps": by_steps(ALPHA, M, leave_one_out=False),
    "MAML": maml_by_steps(MAML_ALPHA, M),
    "MAML, 20 steps": maml_by_steps(MAML_ALPHA, 20),
}


def seconds(learner, theta, task, runs: int = 15) -> float:
    """The median processor time of an adaptation with its answers."""
    times = []
    for _ in range(runs):
        began = time.process_time()
        learner.predict(learner.adapt(theta, task.support), task.query.x)
        times.append(time.process_time() - began)
    return statistics.median(times)


def main() -> None:
    """Measure all contenders with 5, 10 and 20 examples."""
    torch.set_num_threads(1)
    for k in (5, 10, 20):
        task = next(each(waves().sample(1, k, 50, generator=Generator().manual_seed(0))))
        taken = {name: seconds(*both, task) for name, both in CONTENDERS.items()}
        for name, s in taken.items():
            print(f"K = {k:2} {name:16} {1000 * s:7.1f} ms, {s / taken['in-context']:6.1f} times one pass")


if __name__ == "__main__":
    main()
