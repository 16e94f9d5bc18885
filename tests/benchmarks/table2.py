"""From a cold process to Table 2 of Finn et al. 2017: python tests/benchmarks/table2.py [--seeds 0 1 2]

For each seed, a new Python process on one thread imports the library, meta-trains MAML for 20,000
outer steps and evaluates it on 600 fresh sinusoids with K = 5. The seconds count all of that, the
start of Python included.
"""

import argparse
import json
import os
import subprocess
import sys
import time

PAPER = {1: 0.67, 5: 0.38, 10: 0.35}
"""Table 2 of the paper, "MAML, 5 shot": mean squared error after 1, 5 and 10 gradient steps."""

EVALUATION_SEED = 12_345


def train_and_evaluate(seed: int, outer_steps: int) -> dict:
    """The work of one cold process: meta-train, evaluate, and summarise by inner step."""
    import torch

    from mapping_lib.evaluation import evaluate_by_step
    from mapping_lib.families.sinusoid import Sinusoids
    from mapping_lib.learners.gradient import maml
    from mapping_lib.meta_training import meta_train
    from mapping_lib.networks import mlp

    torch.set_num_threads(1)
    learner, family = maml(mlp((1, 40, 40, 1)), torch.nn.functional.mse_loss, alpha=0.01, steps=1), Sinusoids()
    generator = torch.Generator().manual_seed(seed)
    training = meta_train(learner, family, beta=0.003, outer_steps=outer_steps, schedule="cosine", generator=generator)
    for progress in training:
        theta = progress.theta
    generator = torch.Generator().manual_seed(EVALUATION_SEED)
    errors = evaluate_by_step(learner, theta, family, k_shot=5, steps=10, n_tasks=600, generator=generator)
    half = errors.high - errors.mean
    return {
        step: {
            "mean": float(errors.mean[step]),
            "median": float(errors.median[step]),
            "half": float(half[step]),
            "diverged": round(float(errors.diverged[step]) * len(errors.per_task)),
        }
        for step in PAPER
    }


def in_cold_process(seed: int, outer_steps: int) -> tuple[float, dict]:
    """Run `train_and_evaluate` in a new process; return the seconds it took and what it found."""
    command = [sys.executable, __file__, "--seeds", str(seed), "--outer-steps", str(outer_steps), "--worker"]
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    done = subprocess.run(command, env=one_thread, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, json.loads(done.stdout)


def row(seed: int, seconds: float, found: dict) -> str:
    """One line of the table."""
    errors = [f"{e['mean']:.3f} ± {e['half']:.3f} (median {e['median']:.3f})" for e in found.values()]
    diverged = ", ".join(str(e["diverged"]) for e in found.values())
    return f"| seed {seed} | {seconds:.1f} | {' | '.join(errors)} | {diverged} |"


def main() -> None:
    """Print the table as Markdown, or be one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--outer-steps", type=int, default=20_000)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(train_and_evaluate(args.seeds[0], args.outer_steps)))
        return
    print("| | seconds | 1 step: mean ± 95 % (median) | 5 steps | 10 steps | diverged of 600 |")
    print("|---|--:|--:|--:|--:|--:|")
    for seed in args.seeds:
        print(row(seed, *in_cold_process(seed, args.outer_steps)), flush=True)
    print(f"| paper | | {' | '.join(f'{error:.2f}' for error in PAPER.values())} | |")


if __name__ == "__main__":
    main()
