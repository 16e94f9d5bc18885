"""How long the interpreter takes in Chromium, with its two kernels: ``python tests/benchmarks/interpreter.py``.

Medians and 95th percentiles of the frame of the adaptation explorer (two learners, five inner steps, K = 10) and of a
step of meta-training with Adam (25 tasks, K = 10, one inner step), kernels in turns.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from programs import ADAPTATION, interpreter, meta_training, packed, support

from mapping_lib.families.sinusoid import Sinusoids
from mapping_lib.page.tracing import traced
from mapping_lib.task import Batch

ROUNDS, REPEAT = 10, 60
TIMES = """([program, constants, inputs, repeat, carry]) => {
    const run = prepare(program, decoded(constants));
    const given = decoded(inputs);
    const environment = run.start(given);
    return Array.from({length: repeat}, () => {
        const began = performance.now();
        if (carry) run.stage(0, environment);
        else run(given);
        return performance.now() - began;
    });
}"""


def jobs() -> dict[str, list]:
    """What is timed: program, constants, inputs, how often, whether each goes on where the last ended."""
    tasks = Sinusoids().sample(25, 10, 10, generator=torch.Generator().manual_seed(0))
    step, start = meta_training(steps=1)
    meta = start | {"support": tasks.support, "query": tasks.query}
    few = {
        name: Batch(batch.x[:7], batch.y[:7]) for name, batch in (("support", tasks.support), ("query", tasks.query))
    }
    example, moved = (support(k) | {"alpha": 0.01, "steps": steps} for k, steps in ((7, 2), (10, 5)))
    return {
        "adaptation, 5 steps": [
            traced(ADAPTATION, example),
            packed(ADAPTATION.constants),
            packed(moved),
            REPEAT,
            False,
        ],
        "meta-training step": [traced(step, meta | few), {}, packed(meta), REPEAT, True],
    }


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as private, interpreter(Path(private)) as page:
        times: dict[tuple[str, str], list[float]] = {}
        handed = {name: json.loads(json.dumps(job)) for name, job in jobs().items()}
        for _ in range(ROUNDS):
            for wasm in (True, False):
                kernel = page.evaluate("(wasm) => chooseKernel(wasm)", wasm)
                for name, job in handed.items():
                    times.setdefault((name, kernel), []).extend(page.evaluate(TIMES, job)[10:])
    for (name, kernel), spent in times.items():
        median, late = torch.tensor(spent).quantile(torch.tensor([0.5, 0.95])).tolist()
        print(f"{name:20} {kernel:12} median {median:6.2f} ms, 95 % under {late:6.2f} ms")


if __name__ == "__main__":
    main()
