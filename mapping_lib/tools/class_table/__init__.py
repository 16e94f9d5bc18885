"""Which exercises pass in each student's copy: a table for the teacher, made without trusting what students wrote.

`known` knows the suite's exercises and finds a student's, `sandbox` starts a worker for each student where it can
harm nobody, `worker` runs there, `table` shows what came out.
"""

STATES = {"passes": "✓", "wrong": "✗", "not begun": "–", "stopped": "!", "missing": "?"}
"""What may become of an exercise, and the sign for it; stopped: by an error, or by a limit of time or memory."""
