"""The pages to look things up in: checked claims, glossary.

A guard takes the text of a page and yields the faults it finds. The last part proves that the guards bite.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from house import ROOT

NOTEBOOKS = ROOT / "notebooks"
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)")
NOT_USED = re.compile(r"not used here; we say [^*]*\*\*(.+)\*\*")
SHOWN = re.compile(r"^\*\*Claims? (.+?), shown\.\*\*", re.MULTILINE)
LIFTED = 'style="position:relative;bottom:60px"'
"""What an anchor in the middle of a row needs, so that the whole row is seen, and not its lower half."""
FORMS = {"expectation maximisation (EM)": "EM"}
"""What is sought in the chapters, where it is not the term itself up to its bracket."""


def text_of(path: Path) -> str:
    """The Markdown of a notebook."""
    nb = nbformat.read(path, nbformat.NO_CONVERT)
    return "\n\n".join(cell.source for cell in nb.cells if cell.cell_type == "markdown")


def chapters() -> str:
    """Everything written in chapters 1 to 4, code too, without marks of emphasis."""
    nbs = [nbformat.read(path, nbformat.NO_CONVERT) for path in sorted(NOTEBOOKS.glob("0[1-4]*.ipynb"))]
    return " ".join(re.sub(r"[*`]", "", " ".join(cell.source for nb in nbs for cell in nb.cells)).split())


def rows(text: str, first: str) -> list[list[str]]:
    """The cells of the rows of all tables whose header begins with ``first``, in order."""
    table, inside = [], False
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not set(line) <= set("|- "):
            table.append(cells)
    return table


def occurs(word: str, text: str) -> bool:
    """As a whole word, in any case, in the singular or plural."""
    return bool(re.search(rf"(?<![A-Za-z]){re.escape(word)}(?:s|es)?(?![A-Za-z])", text, re.IGNORECASE))


# --- Checked claims ---


def claims_are_numbered(text: str) -> Iterator[str]:
    """1, 2, 3 ..., each with the anchor that links lead to; at least thirty."""
    numbers = [row[0] for row in rows(text, "no.")]
    wanted = [f'<a id="c{n}" {LIFTED}></a>{n}' for n in range(1, len(numbers) + 1)]
    yield from (f"{got} in place of {want}" for got, want in zip(numbers, wanted, strict=True) if got != want)
    if len(numbers) < 30:
        yield f"only {len(numbers)} rows"


def claims_are_whole(text: str) -> Iterator[str]:
    """Five columns, none empty; the last leads into the suite, or says that nothing else does."""
    for row in rows(text, "no."):
        if len(row) != 5 or not all(row):
            yield f"{row[0]} has an empty column, or not five of them"
        elif not LINK.search(row[4]) and row[4] != "this row only":
            yield f"{row[0]} does not say where the suite shows it"


def claims_say_where(text: str) -> Iterator[str]:
    """Each statement is quoted, and its article is named or its page linked."""
    for row in rows(text, "no."):
        if not re.search(r"[Aa]rticle [1-5]\b|\]\(https?://", row[1]):
            yield f"{row[0]} does not say where it was said"
        if not re.search(r"“.+?”|: `|^Code: |set `", row[1]):
            yield f"{row[0]} quotes nothing"


def claims_about_articles_name_them(text: str) -> Iterator[str]:
    """In the two groups about the articles each row names its article, and quotes Chinese or code."""
    for group in re.split(r"^## ", text, flags=re.MULTILINE):
        if group.startswith("The articles on "):
            for row in rows(group, "no."):
                if not re.search(r"[Aa]rticle [1-5]\b", row[1]):
                    yield f"{row[0]} names no article"
                if not (CHINESE.search(row[1]) or re.search(r"Code: |“", row[1])):
                    yield f"{row[0]} quotes no article"


def shown_is_shown(text: str) -> Iterator[str]:
    """Where a row says "Shown below" a cell is announced, and the other way round."""
    promised = {re.search(r"\d+$", row[0])[0] for row in rows(text, "no.") if "Shown below" in row[2]}
    examples = {number for line in SHOWN.findall(text) for number in re.findall(r"\[(\d+)\]\(#c\1\)", line)}
    yield from (f"claim {number} is only said, or only shown" for number in promised ^ examples)


# --- Glossary ---


def terms(text: str) -> list[list[str]]:
    return rows(text, "term")


def terms_are_sorted(text: str) -> Iterator[str]:
    """Alphabetical, whatever the case, and each only once; at least 110."""
    names = [row[0].casefold() for row in terms(text)]
    yield from (f"{b!r} after {a!r}" for a, b in pairwise(names) if a >= b)
    if len(names) < 110:
        yield f"only {len(names)} terms"


def terms_are_whole(text: str) -> Iterator[str]:
    """Five columns, only the symbol may be missing; Chinese is Chinese."""
    for row in terms(text):
        if len(row) != 5 or not all(row[:2] + row[3:]):
            yield f"{row[0]} has an empty column, or not five of them"
        elif not CHINESE.search(row[1]):
            yield f"{row[0]} has no Chinese"


def terms_lead_to_a_chapter(text: str) -> Iterator[str]:
    """The last column is a link to a chapter. (That its section is there, `test_notebooks` sees to.)"""
    for row in terms(text):
        targets = LINK.findall(row[-1])
        if not targets or not all(re.match(r"0[1-4]", target) and (NOTEBOOKS / target).exists() for target in targets):
            yield f"{row[0]} leads to {targets}"


def terms_are_used(text: str) -> Iterator[str]:
    """Each term is in a chapter; a word that we do not use is in none, and leads to one that is a term."""
    names, written = {row[0].split(" (")[0] for row in terms(text)}, chapters()
    for term, _, _, meaning, *_ in terms(text):
        form, other = FORMS.get(term, term.split(" (")[0]), NOT_USED.fullmatch(meaning)
        if bool(other) == occurs(form, written):
            yield f"{term}: {'is used in a chapter' if other else 'is in no chapter'}"
        if other and other[1] not in names:
            yield f"{term} leads to {other[1]}, which is no term"


def words_of_the_articles(text: str) -> Iterator[str]:
    """The second table: Chinese on the left, article numbers, and our terms, all of which are in the first."""
    names, table = {row[0].split(" (")[0] for row in terms(text)}, rows(text, "in the articles")
    if len(table) < 15:
        yield f"only {len(table)} words of the articles"
    for chinese, articles, ours, _ in table:
        if not CHINESE.search(chinese) or not re.fullmatch(r"[1-5](?:(?:, |; | to )[1-5])*", articles):
            yield f"{chinese}, {articles}: no Chinese word, or no article"
        if not (words := re.findall(r"\*\*(.+?)\*\*", ours)) or not set(words) <= names:
            yield f"{chinese} leads to {ours}"


CLAIMS = "05a_checked_claims.ipynb"
GLOSSARY = "05b_glossary.ipynb"
GUARDS = {
    CLAIMS: [claims_are_numbered, claims_are_whole, claims_say_where, claims_about_articles_name_them, shown_is_shown],
    GLOSSARY: [terms_are_sorted, terms_are_whole, terms_lead_to_a_chapter, terms_are_used, words_of_the_articles],
}
ALL = [(page, guard) for page, guards in GUARDS.items() for guard in guards]


@pytest.mark.parametrize(("page", "guard"), ALL, ids=[guard.__name__ for _, guard in ALL])
def test_page(page: str, guard: Callable):
    assert list(guard(text_of(NOTEBOOKS / page))) == []


# --- The guards bite: one fault at a time ---


def swapped(text: str) -> str:
    """Two neighbouring rows of the glossary exchanged."""
    return re.sub(r"^(\| support \|.*)\n(.*)$", r"\2\n\1", text, flags=re.MULTILINE)


FAULTS = [
    (claims_are_numbered, lambda text: text.replace('id="c7"', 'id="c6"')),
    (claims_are_numbered, lambda text: text.replace("></a>7 |", "></a>8 |")),
    (claims_are_whole, lambda text: re.sub(r"(></a>7 \|)[^|]*\|", r"\1 |", text)),
    (claims_are_whole, lambda text: text.replace("| this row only |", "| nowhere |", 1)),
    (claims_say_where, lambda text: text.replace("Article 5, sections 1 and 5", "An article")),
    (claims_say_where, lambda text: re.sub("“在AlphaGo.*?”", "He said it", text)),
    (claims_about_articles_name_them, lambda text: text.replace("Article 5, sections 1 and 5", "[x](https://a.b)")),
    (shown_is_shown, lambda text: text.replace("Shown below |", "See below |", 1)),
    (shown_is_shown, lambda text: SHOWN.sub("", text, count=1)),
    (terms_are_sorted, swapped),
    (terms_are_sorted, lambda text: re.sub(r"^(\| support \|.*)$", r"\1\n\1", text, flags=re.MULTILINE)),
    (terms_are_whole, lambda text: text.replace("支持集", "support set")),
    (terms_are_whole, lambda text: text.replace("| 支持集 |", "| |")),
    (terms_lead_to_a_chapter, lambda text: re.sub(r"(\n\| support .*\| )\[.*", r"\1nowhere |", text)),
    (terms_lead_to_a_chapter, lambda text: text.replace("04e_multitask", "04e_multi_task")),
    (terms_are_used, lambda text: text.replace("| support |", "| supported set |")),
    (terms_are_used, lambda text: text.replace("| fast weights |", "| hypernetwork |")),
    (terms_are_used, lambda text: text.replace("we say **rehearsal**", "we say **revision**")),
    (words_of_the_articles, lambda text: text.replace("**support**; **query**", "**training set**")),
    (words_of_the_articles, lambda text: text.replace("| 任务池 | 3 |", "| 任务池 | 6 |")),
    (words_of_the_articles, lambda text: text.replace("| 任务池 |", "| task pool |")),
]


@pytest.mark.parametrize(("guard", "spoil"), FAULTS)
def test_a_guard_finds_the_fault(guard: Callable, spoil: Callable):
    page = next(page for page, guards in GUARDS.items() if guard in guards)
    good = text_of(NOTEBOOKS / page)
    assert spoil(good) != good, "nothing was spoiled"
    assert list(guard(spoil(good)))
