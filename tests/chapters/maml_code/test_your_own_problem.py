"""Page 3d's forty lines, on a folder of another reader's files: they are forty, and they adapt."""

import re
from pathlib import Path

import nbformat
import pytest
import torch
from house import ROOT
from oracles import seeded

PAGE = nbformat.read(ROOT / "notebooks" / "03d_your_own_problem.ipynb", as_version=4)
CODE = [cell for cell in PAGE.cells if cell.cell_type == "code"]
FORTY = [cell.source for cell in CODE if "forty" in cell.metadata.get("tags", [])]
IMPORTS = CODE[0].source


def test_they_are_forty():
    lines = [line for source in FORTY for line in source.splitlines() if line.strip()]
    assert len(lines) <= 40
    assert not re.search(r"^(import|from) ", "\n".join(lines), re.MULTILINE)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """What the forty lines leave behind, with files of straight lines of 6 to 15 rows, and three that will not do."""
    folder, lots = tmp_path_factory.mktemp("files"), seeded(0)
    bad = {"a gap": ["1,1960", ",1961"] * 4, "empty": [], "short": ["1,1960"] * 5}
    for name, rows in bad.items():
        (folder / f"{name}.csv").write_text("\n".join(["births,year", *rows]), encoding="utf-8")
    for number in range(38):
        slope, height = torch.randn(2, generator=lots).tolist()
        years = torch.randperm(50, generator=lots)[: torch.randint(6, 16, (), generator=lots)].sort().values.tolist()
        rows = ["births,year", *(f"{height + slope * (i - 25) / 10},{1960 + i}" for i in years)]  # the other way round
        (folder / f"{number}.csv").write_text("\n".join(rows), encoding="utf-8-sig")
    names = {"folder": folder, "seeded": seeded}
    exec(IMPORTS, names)
    names["plt"].figure()
    for source in FORTY:
        exec(source, names)
    yield names
    names["plt"].close("all")


def test_they_read_what_the_files_say(ran: dict):
    path = sorted(Path(ran["folder"]).glob("*.csv"))[0]
    births, year = zip(*(map(float, line.split(",")) for line in path.read_text().split()[1:]), strict=True)
    torch.testing.assert_close(ran["read"](path), torch.tensor([year, births]).T)


def test_every_whole_file_is_in_one_part_and_others_are_left_out(ran: dict):
    assert len(ran["train"]) + len(ran["valid"]) + len(ran["test"]) == 38
    assert min(len(ran["train"]) / 2, len(ran["valid"]), len(ran["test"])) >= 3
    assert ran["tables"].keys() - ran["ok"].keys() == {"a gap.csv", "empty.csv", "short.csv"}


def test_every_row_is_in_the_support_or_the_query_once(ran: dict):
    family = ran["Files"](ran["test"])
    groups = family.sample(100, 3, 100, generator=seeded(1))
    tasks = [task for group in groups for task in ran["each"](group)]
    found = [torch.cat([torch.cat([*task.support], 1), torch.cat([*task.query], 1)]) for task in tasks]
    wanted = {tuple(sorted(map(tuple, rows.tolist()))) for rows in family.files}
    assert {tuple(sorted(map(tuple, rows.tolist()))) for rows in found} == wanted
    assert all(len(task.support.x) == min(3, len(rows) // 2) for task, rows in zip(tasks, found, strict=True))


def test_three_rows_bring_it_nearer_on_most_new_files(ran: dict):
    errors = ran["evaluate_by_step"](
        ran["learner"], ran["theta"], ran["Files"](ran["test"]), k_shot=3, steps=5, n_tasks=100, generator=seeded(2)
    ).per_task
    assert (errors[:, 5] < 0.5 * errors[:, 0]).float().mean() > 0.6
