"""The library behind the notebooks: meta-learning as a mapping from tasks to a way of learning.

theta goes in, phi comes out. Nothing is mutated and nothing is deep-copied between the two levels.

The core is the method itself, readable in an hour. It has floors, and imports point downwards only:

    floor  files                                 what lives there
    4      meta_training.py, evaluation.py       the outer loop; error by inner step, with intervals
    3      learners/                             MAML and its siblings, the other mappings, the baselines
    2      families/                             distributions of tasks
    1      networks.py, set_networks.py,         functional networks; modules that read a set of examples;
           modules.py, twice.py,                 what a module must be, its parameters, its second derivatives;
           inner_loop.py, flow.py,               one inner step, many inner steps, steps without a size;
           curvature.py, batched_mlp.py          Hessian products; the fast path for a batched MLP
    0      task.py, params.py, checks.py,        Params, Batch, Task, TaskFamily; arithmetic; checks of arguments;
           over_tasks.py, data_checks.py         from one task to many; what in the data can spoil training;
           console.py                            words for a console that cannot carry every letter

Around it stand rooms. The core imports none of them, and each may import the core and:

    room       may import                    what lives there
    doctor/    -                             is it really MAML? Experiments on a learner
    worlds/    -                             families and data that two pages or more draw from
    study/     worlds                        how a theta or a table is made, stored, read and judged
    page/      doctor, worlds, study         style and plots, explorers and their front end, progress, exercises
    chapters/  doctor, worlds, study, page   a wing for each chapter: all that only it uses; never another wing
    tools/     page                          recording; editions, a table and a hub for a class; the site

A wing is named as its notebook (`chapters/language` for `04c_language.ipynb`). Its files have the same names in every
wing, as far as it needs them: `family` (its tasks), `methods` (its learners and baselines), `study` (how its theta and
tables are made), `figures`, `explorer` and `exercises`, each whole or in parts (`family_growth`); what it stores lies
in `data/`, `tables/`, `weights/` and `programs/` (what explorers compute, traced for the page). `tests/` has the same
rooms and wings. `tests/form/test_floors.py` proves it.

Importing this package loads nothing heavy; each module imports what it needs.
"""

__version__ = "0.1.0"
