"""What the doctor can find, and how it is told."""

from typing import NamedTuple

from mapping_lib.console import printable

FAULTS = {
    "does not run": "the code stopped, or gave no usable answer: read what it says, above",
    "θ is changed in place": "adaptation writes into the meta-parameters: give it parameters of its own",
    "one φ for all tasks": "loop over the tasks: begin each at θ, adapt on its own support, judge its own query",
    "another task's query is judged": "judge each φ on the query of the task whose support it has seen",
    "tasks leak": "one task's adaptation depends on other tasks: begin each at θ, with a fresh optimiser",
    "tasks count unevenly": "some tasks weigh more than others: take the plain mean of their query losses",
    "only the last task counts": "the other tasks' query losses are lost: collect them all, then differentiate",
    "tasks are left out": "some tasks' query losses are lost: collect them all, then differentiate",
    "no inner loop": "φ is θ: take inner steps on the support before the query is judged",
    "the gradient is added": "the inner step climbs: φ = θ − α∇L, with a minus",
    "every step looks at θ": "all inner steps use θ's gradient: take each at the φ that the step before it gave",
    "the loss broadcasts": "each prediction meets all labels: give ŷ and y one shape; (k, 1) − (k,) makes (k, k)",
    "examples are left out": "some examples of the support or the query change nothing: use them all",
    "judged on the support": "the query is never looked at: judge φ on examples that it was not adapted on",
    "judged before adaptation": "the judged prediction was made with θ: predict again, with φ",
    "the query is not judged": "the meta-loss does not depend on the query, nor on φ's predictions for it",
    "not the query loss after adaptation": "the meta-loss is some other number: it should be the mean of L_Q(φ)",
    "no gradient reaches θ": "the graph from the meta-loss to θ is cut: by .item(), .detach() or a copy",
    "second order is cut": "the way from θ to φ is not differentiated: no .detach(), deepcopy or load_state_dict there",
    "not the gradient of its meta-loss": "the direction is some other vector: compare it with central differences",
    "the direction climbs": "the outer optimiser subtracts the direction: Reptile's is θ − φ, not φ − θ",
    "not first order": "the direction is not the mean query gradient at φ",
    "adaptation raises the query error": "a smaller α, or more examples; or the inner step is wrong",
    "support and query overlap": "the same example stands in both: draw them together, then split",
}
"""Every fault that the doctor knows, with the way to mend it."""


class Finding(NamedTuple):
    """One check: what was looked at, what was seen, and the faults found (names of `FAULTS`).

    ``faults`` is None where what was seen allows no verdict.
    """

    check: str
    seen: str
    faults: tuple[str, ...] | None = ()


class Diagnosis(NamedTuple):
    """What the doctor found; print it for a table, spelled where ``sys.stdout`` cannot carry Greek letters."""

    claims: str
    findings: tuple[Finding, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of all faults, each once."""
        return tuple(dict.fromkeys(fault for finding in self.findings for fault in finding.faults or ()))

    def __str__(self) -> str:
        lines = [f"claims: {self.claims}"]
        for check, seen, faults in self.findings:
            mark = "–" if faults is None else "✗" if faults else "✓"
            lines.append(f"{mark} {check:30s} {seen}")
        lines += [f"→ {fault}: {FAULTS[fault]}" for fault in self.faults]
        return printable("\n".join(lines if self.faults else [*lines, "→ no fault found"]))
