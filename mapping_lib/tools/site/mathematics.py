"""Formulas as MathML, written when the site is built: nothing is fetched, and a screen reader can say them.

A renderer for Sphinx, by its own door for that (``add_html_math_renderer``), and the font that formulas are set in.
"""

import io
import logging
import re
from collections.abc import Iterable
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unicodedata import lookup, normalize

from docutils import nodes
from fontTools import subset
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert

FONT = Path(find_spec("ziamath").origin).parent / "fonts" / "STIXTwoMath-Regular.ttf"
"""STIX Two Math, under the SIL Open Font License 1.1, from a package that carries it."""

THIN = '<mspace width="0.17em"/>'
NAME = r"<mi>(?:arg|cos|exp|log|max|min|sin)</mi>"
BEFORE = re.compile(rf"(</(?:mi|mn|msub|msup|mfrac)>)(?={NAME})")
AFTER = re.compile(rf"({NAME})(?=<(?:mi|mn|msub|msup|mfrac)>)")
SIGN = re.compile(r"(<mo[^>]*>(?:[(\[=,]|&#x00028;|&#x0003D;|&#x000B7;|&#x0002C;)</mo>)<mo>(&#x02212;|&#x000B1;)</mo>")
"""A minus behind a parenthesis and the like belongs to the number: it gets no space."""

LETTER = re.compile(r'<mi mathvariant="normal">(.)</mi>')
UPRIGHT = re.compile(f"(?:{LETTER.pattern}){{2,}}")
DOUBLE = re.compile(r'<mi mathvariant="double-struck">(.)</mi>')
"""What browsers do not read any more: words of upright letters are one name, double letters have signs of their own."""

ITALIC = {
    chr(code): normalize("NFKC", chr(code)) for code in [0x210E, *range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C)]
}
"""The italic letters of mathematics, in which a browser sets a single letter, and what each is plainly."""

TAG = re.compile(r"<[^>]*>")
FORMULA = re.compile(r"<math\b.*?</math>", re.DOTALL)

subset.log.setLevel(logging.WARNING)  # it tells of every table


def setup(app: Any) -> dict[str, bool]:
    """Sphinx's door."""
    inline, block = (_inline, None), (_block, None)
    app.add_html_math_renderer("mathml", inline_renderers=inline, block_renderers=block)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(formula: str, display: str = "inline") -> str:
    """A formula in TeX as MathML, in words that browsers read, with the spaces that TeX has around names and signs.

    >>> mathml(r"2 \\sin x").count('<mspace width="0.17em"/>'), mathml("(-1)").count('form="prefix"')
    (2, 1)
    """
    written = SIGN.sub(
        r'\1<mo form="prefix">\2</mo>', convert(formula.replace(r"\arg", r"\mathrm{arg}"), display=display)
    )
    written = UPRIGHT.sub(lambda word: f"<mi>{''.join(LETTER.findall(word[0]))}</mi>", written)
    written = DOUBLE.sub(
        lambda letter: f"<mi>{lookup(f'MATHEMATICAL DOUBLE-STRUCK CAPITAL {letter[1]}')}</mi>", written
    )
    return AFTER.sub(r"\1" + THIN, BEFORE.sub(r"\1" + THIN, written))


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    formula = mathml(node.astext(), "block")
    translator.body.append(f'<div class="wide">{formula}</div>')
    raise nodes.SkipNode


def letters_of(pages: Iterable[str]) -> set[str]:
    """The letters and signs in the formulas of pages of HTML, and the italic forms that a browser sets them in.

    >>> sorted(letters_of(["<math><mi>&#x003B1;</mi></math>"]))
    ['α', '𝛼']
    """
    plain = {letter for page in pages for formula in FORMULA.findall(page) for letter in unescape(TAG.sub("", formula))}
    return plain | {italic for italic, letter in ITALIC.items() if letter in plain}


def font_for(pages: Iterable[str]) -> bytes:
    """The font, as WOFF2, with the letters and signs alone that stand in the formulas of pages of HTML."""
    font = TTFont(FONT)
    subsetter = subset.Subsetter(subset.Options(layout_features=["*"], name_IDs=["*"], notdef_outline=True))
    subsetter.populate(text="".join(sorted(letters_of(pages))))
    subsetter.subset(font)
    font.flavor = "woff2"
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()
