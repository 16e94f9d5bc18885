"""The whole suite as a static site: every chapter in a reader's edition, and explorers that live without a kernel.

    python -m mapping_lib.tools.site OUT

`chapters` turns notebooks into what Sphinx reads, `mathematics` writes formulas as MathML, `build` puts it together;
the folder `look` holds the pages' style, and the first page. Wants the packages of the extra named ``site``.
"""
