"""The library behind the notebooks: meta-learning as a mapping from tasks to a way of learning.

theta goes in, phi comes out. Nothing is mutated and nothing is deep-copied between the two levels.

The house has floors, and imports point downwards only (`tests/test_floors.py` proves it):

    floor  room                                  what lives there
    6      explorers/, exercises/                the panels with sliders; checks of a reader's answer
    5      plots/                                plot_*(ax, data) -> ax: draws, never computes
    4      meta_training.py, evaluation.py,      the outer loop; error by inner step, with intervals;
           weights/, doctor/,                    trained theta with its recipes; is it really MAML?
           applications/                         chapter 4: what each method gains, measured
    3      learners/                             MAML and its siblings, the other mappings, the baselines
    2      families/                             distributions of tasks
    1      networks.py, set_networks.py,         functional networks; modules that read a set of examples;
           modules.py, twice.py,                 what a module must be, its parameters, its second derivatives;
           inner_loop.py, flow.py,               one inner step, many inner steps, steps without a size;
           curvature.py, batched_mlp.py          Hessian products; the fast path for a batched MLP
    0      task.py, params.py, checks.py,        Params, Batch, Task, TaskFamily; arithmetic; checks of arguments;
           over_tasks.py, data_checks.py         from one task to many; what in the data can spoil training;
           console.py                            words for a console that cannot carry every letter

`recording.py` and `editions.py` stand beside the house: one executes the notebooks and stores what they print, the
other makes copies of them for students and for teachers. Of the house they use `console.py` alone.
`data/` holds the small files that families read, with their origin and licence.

Importing this package loads nothing heavy; each module imports what it needs.
"""

__version__ = "0.1.0"
