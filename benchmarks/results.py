"""docs/RESULTS.md and its plot, from the measurements in benchmarks/results.

    fmapzip bench path/to/nets.py:squeezenet1_1 path/to/images --images 8 --json arena.json
    python benchmarks/results.py keep arena.json     # its figures, without histograms, into benchmarks/results
    python benchmarks/results.py renew arena.json    # the same of some methods, measured again later
    python benchmarks/results.py make                # docs/RESULTS.md, docs/plots, and the table in README.md

Nothing in docs/RESULTS.md is typed; a test makes it again and compares.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from one_map import SHOWN, before, decoded_of
from results_breadth import breadth
from results_dead_zones import dead_zones, trained_dead_zones
from results_files import NETWORKS, Values, arenas, keep, loaded, renew
from results_hardware import proof, synthesis, table_sizes, tile_sizes
from results_instructions import cycles, instructions
from results_map import draw_map, one_map
from results_metric_plans import metric_plans
from results_paper import paper, short_paper
from results_pass import stored_pass
from results_plans import plans
from results_scale import ray, scale
from results_split import reductions, soak, split_links
from results_stores import capture, linear_head, stores
from results_tables import WIDTH, arena, evals, grid, memory, pca, short_table, speed, speeds
from results_tune import tunings

ROOT = Path(__file__).parents[1]
DOCUMENT, README = ROOT / "docs" / "RESULTS.md", ROOT / "README.md"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"

OPENING = """
Made by `python benchmarks/results.py make` from the measurements in `benchmarks/results`; nothing here is typed.
Ratios are sums over sums, against 8-bit values, and count every byte: frames with headers and checksums, tables, and
what is kept once beside the maps (the plan, or a baseline's side information). *Maps alone* leaves the latter out.
Speeds are of one thread, in MB/s of 8-bit values, with preallocated outputs where a package takes them; ~ marks
methods that are written in NumPy here, whose time says nothing. Ours are in bold. The methods are described in
[METHODS.md](METHODS.md).
""".replace("\n", " ").strip()


def document() -> str:
    """The whole of docs/RESULTS.md."""
    parts = [
        f"# Results\n\n{fill(OPENING, WIDTH)}",
        paper(loaded("paper*.json"), loaded("eval_sscd*.json"), loaded("maps_alone.json")),
        evals(loaded("eval_*.json")),
    ]
    parts += [one_map(found) for found in loaded("one_map.json")]
    parts += [arena(report) for report in arenas()]
    parts += [speeds(report) for report in loaded("speeds_*.json")]
    parts += [plans(loaded("plan_budgets_*.json"))]
    parts += [metric_plans([run for run in loaded("plan_*.json") if run["benchmark"] == "plan"])]
    parts += [tunings(loaded("tune_*.json"))]
    parts += [dead_zones(loaded("dead_zones_*.json"))]
    parts += [trained_dead_zones(found) for found in loaded("trained_dead_zones_*.json")]
    parts += [grid(found) for found in loaded("dct_cm_grid_*.json")]
    parts += [pca(loaded("pca_before_*.json"))]
    parts += [speed(found) for found in loaded("speed.json")]
    parts += [instructions(found) for found in loaded("instructions.json")]
    parts += [cycles(found) for found in loaded("cycles.json")]
    parts += [stored_pass(found) for found in loaded("pass.json")]
    parts += [memory(found) for found in loaded("memory.json")]
    parts += [stores(found) for found in loaded("stores.json")]
    parts += [capture(found) for found in loaded("capture.json")]
    parts += [linear_head(found) for found in loaded("linear_head.json")]
    parts += [scale(found) for found in loaded("scale.json")]
    parts += [ray(found) for found in loaded("scale_ray.json")]
    parts += [split_links(loaded("split_links_*.json")), reductions(loaded("reductions_*.json"))]
    parts += [soak(found) for found in loaded("split_soak.json")]
    parts += [synthesis(found) for found in loaded("synthesis.json")]
    parts += [proof(found) for found in loaded("hardware_proof.json")]
    parts += [table_sizes(found) for found in loaded("table_sizes.json")]
    parts += [tile_sizes(found) for found in loaded("tile_sizes.json")]
    parts += [breadth(found) for found in loaded("breadth.json")]
    return "\n\n".join(part.strip() for part in parts if part) + "\n"


def readme() -> str | None:
    """README with the table between its markers; None where it has none."""
    text = README.read_text()
    if BEGIN not in text or not arenas():
        return None
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    plot = "![Ratio against encode and decode speed of lossless methods](docs/plots/arena.svg)"
    told = plotted()["source"]
    words = (
        f"Plot: {NETWORKS.get(told['model'], told['model'])}, {told['images']} images, calibrated on "
        f"{told['calibration_images']} others. {plotted().get('note', '')}"
    ).strip()
    words += " Conditions, lossy methods and distortion: [docs/RESULTS.md](docs/RESULTS.md)."
    first = short_paper(loaded("paper*.json"), loaded("eval_sscd*.json"))
    tables = "\n\n".join(filter(None, (first, short_table(arenas()))))
    return f"{before}{BEGIN}\n{tables}\n\n{plot}\n\n{words}\n{END}{after}"


def picture(path: Path = ROOT / "docs" / "plots" / "map.svg") -> Path:
    """Draw one map before and after."""

    q = before()
    return draw_map(loaded("one_map.json")[0], q, decoded_of(SHOWN, q), path)


def plotted() -> Values:
    """The report of the plot: times of a quiet machine where there are some."""
    return [*loaded("speeds_*.json"), *arenas()][0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    keeping = commands.add_parser("keep")
    keeping.add_argument("report", type=Path, nargs="+")
    keeping.add_argument("--commit", help="what was measured; by default what is checked out")
    keeping.add_argument("--speeds", action="store_true", help="a bench of fast methods alone, for their times")
    keeping.add_argument("--note", default="", help="what a reader should know of the conditions")
    renewing = commands.add_parser("renew", help="methods that were measured again, into the reports kept")
    renewing.add_argument("report", type=Path, nargs="+")
    renewing.add_argument("--commit", help="what was measured; by default what is checked out")
    commands.add_parser("make")
    arguments = parser.parse_args()
    if arguments.command == "keep":
        print(
            "\n".join(str(keep(path, arguments.commit, arguments.speeds, arguments.note)) for path in arguments.report)
        )
        return
    if arguments.command == "renew":
        print("\n".join(str(renew(path, arguments.commit)) for path in arguments.report))
        return
    print("\n".join(str(path) for path in make()))


def make() -> Iterator[Path]:
    """Write the document, the plot and README's table; yields what was written."""
    from results_plot import draw

    DOCUMENT.write_text(document())
    yield DOCUMENT
    if arenas():
        yield draw(plotted(), ROOT / "docs" / "plots" / "arena.svg")
    yield picture()
    text = readme()
    if text is not None:
        README.write_text(text)
        yield README


if __name__ == "__main__":
    main()
