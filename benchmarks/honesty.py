"""Are the numbers honest? Experiments on made-up tables whose truth is known.

    python benchmarks/honesty.py --quick                      # minutes: smaller, fewer tables
    python benchmarks/honesty.py --resume honesty.jsonl --write benchmarks/results/honesty.md

Each experiment repeats the whole procedure (searches, selections, outer refits) on many tables
and compares what it says with what is true. Two of them MUST look bad, or the others would prove
nothing: the screen on all rows (H3), and the Wald interval beside the default one (H8). With
``--resume`` every finished table is kept in a file, and the same command goes on from there.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from honesty_experiments import Experiment, experiments


def one_draw(task: tuple[Callable[[int], dict], int]) -> dict:
    draw, seed = task
    return draw(seed)


def drawn(one: Experiment, known: dict[int, dict], pool, keep) -> list[dict]:
    """The results of all tables of an experiment; those that are known are not drawn again."""
    todo = [seed for seed in range(one.tables) if seed not in known]
    results = pool.map(one_draw, [(one.draw, seed) for seed in todo])
    for seed, row in zip(todo, results, strict=True):
        known[seed] = row
        keep({"key": one.key, "what": one.what, "seed": seed, "row": row})
    return [known[seed] for seed in range(one.tables)]


def remembered(path: Path | None) -> dict[tuple[str, str], dict[int, dict]]:
    """Results of earlier runs: experiment -> seed -> result."""
    known: dict[tuple[str, str], dict[int, dict]] = defaultdict(dict)
    for line in path.read_text().splitlines() if path and path.exists() else []:
        record = json.loads(line)
        known[record["key"], record["what"]][record["seed"]] = record["row"]
    return known


def report(lines: list[tuple[str, ...]], head: str) -> str:
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"# Are the numbers honest?\n\n{head}\n\n"
        f"| id | tables | must hold | number | measured | |\n|---|---|---|---:|---|---|\n{rows}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller tables")
    parser.add_argument("--columns", type=int, help="columns of the wide tables")
    parser.add_argument("--only", nargs="+", help="experiments whose id starts with one of these")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--resume", type=Path, help="keep results here, and continue from here")
    parser.add_argument("--known", action="store_true", help="draw nothing: judge what is kept")
    parser.add_argument("--write", type=Path, help="write the table to this file, too")
    options = parser.parse_args()
    known, lines, started = remembered(options.resume), [], time.monotonic()

    def keep(record: dict) -> None:
        if options.resume:
            with options.resume.open("a") as file:
                file.write(json.dumps(record) + "\n")

    chosen = [
        one
        for one in experiments(options.quick, options.columns)
        if any(one.key.startswith(start) for start in options.only or [""])
    ]
    with ProcessPoolExecutor(options.workers) as pool:
        for one in chosen:
            before = known[one.key, one.what]
            rows = list(before.values()) if options.known else drawn(one, before, pool, keep)
            if len(rows) < 2:
                continue
            words, fine = one.judge(rows)
            mark = "told" if fine is None else "ok" if fine else "**NO**"
            lines.append((one.key, one.what, one.must, str(len(rows)), words, mark))
            print(" | ".join(lines[-1]), flush=True)
    minutes = (time.monotonic() - started) / 60
    size = "quick" if options.quick else "full"
    head = f"Size: {size}. 90 % intervals; tolerances are three Monte-Carlo standard errors."
    print(f"{minutes:.1f} minutes")
    if options.write:
        options.write.parent.mkdir(parents=True, exist_ok=True)
        options.write.write_text(report(lines, head))


if __name__ == "__main__":
    main()
