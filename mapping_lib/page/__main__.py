"""Trace the programs of explorers anew: ``python -m mapping_lib.page`` writes all, with names those named."""

from mapping_lib.console import command
from mapping_lib.page.explorer import explorers, program_path, serialised


def main(arguments: list[str] | None = None) -> None:
    """Write the programs of the explorers named, or of all, where they are shipped."""
    known = {explorer.name: explorer for explorer in explorers() if not explorer.kernel}
    parser = command("mapping_lib.page", "Trace the programs of explorers anew, and write them where they are shipped.")
    parser.add_argument("names", nargs="*", choices=[[], *known], metavar="NAME", help=", ".join(known))
    for name in parser.parse_args(arguments).names or known:
        path = program_path(known[name])
        path.parent.mkdir(exist_ok=True)
        path.write_text(serialised(known[name].traced()), encoding="utf-8", newline="\n")
        print(f"{name}: {path.stat().st_size:,} bytes in {path}")


if __name__ == "__main__":
    main()
