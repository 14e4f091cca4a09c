"""Rounds: things measured by turns, so that whatever else the machine does falls on all of them alike."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import NoReturn

# What one measurement saw, by name and unit. The first figure is the one that is compared.
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """What was seen, round by round. Every side is compared with the first one."""

    what: str
    sides: Mapping[str, list[Figures]]
    # What the first side should reach of the named side.
    goals: Mapping[str, float] = field(default_factory=dict)

    def figures(self, side: str) -> Figures:
        """Medians of one side."""
        seen = self.sides[side]
        return {name: _short(median(figures[name] for figures in seen)) for name in seen[0]}

    def ratios(self) -> Mapping[str, Mapping[str, float]]:
        """The first side divided by each of the others: median, least and most of the rounds."""
        ours, *others = self.sides
        found = {}
        for other in others:
            pairs = zip(self.sides[ours], self.sides[other], strict=True)
            ratios = [_compared(mine) / _compared(theirs) for mine, theirs in pairs]
            found[other] = {"median": _short(median(ratios)), "min": _short(min(ratios)), "max": _short(max(ratios))}
            if other in self.goals:
                found[other]["goal"] = self.goals[other]
        return found

    def lines(self) -> Iterable[str]:
        """For people."""
        yield f"{self.what}:"
        for side in self.sides:
            figures = "   ".join(f"{value:>8,g} {name}" for name, value in self.figures(side).items())
            yield f"  {side:26} {figures}"
        ours = next(iter(self.sides))
        for other, ratio in self.ratios().items():
            line = f"  {ours} / {other}: {ratio['median']:g} ({ratio['min']:g}-{ratio['max']:g})"
            if goal := ratio.get("goal"):
                line += f", goal {goal:g}: {'reached' if ratio['median'] >= goal else 'MISSED'}"
            yield line


def _compared(figures: Figures) -> float:
    return next(iter(figures.values()))


def _short(value: float) -> float:
    return float(f"{value:.3g}") if abs(value) < 1000 else round(value)


def alternate(
    what: str,
    sides: Mapping[str, Callable[[], Figures]],
    rounds: int,
    *,
    goals: Mapping[str, float] | None = None,
    warm_up: bool = True,
) -> Comparison:
    """Measure each side once a round, and tell the result; a first round that warms up does not count."""
    seen: dict[str, list[Figures]] = {side: [] for side in sides}
    for number in range(1 - warm_up, rounds + 1):
        for side, measure in sides.items():
            progress(f"{what}: round {number} of {rounds}, {side}")
            figures = measure()
            if number:
                seen[side].append(figures)
    progress("")
    comparison = Comparison(what, seen, goals or {})
    print("\n".join(comparison.lines()), flush=True)
    return comparison


def progress(text: str) -> None:
    """Say where a long piece of work is, where a person looks on; empty: it is done."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def arguments(bench: str, question: str, rounds: int = 5) -> argparse.ArgumentParser:
    """The command line that every script has; a script adds its own."""
    # Whoever stops us stops what we started, too: each `with` ends.
    signal.signal(signal.SIGTERM, _end)
    parser = argparse.ArgumentParser(prog=f"python -m bench.{bench}", description=question)
    parser.add_argument(
        "--rounds", type=_positive, default=rounds, help="how often each side is measured (%(default)s)"
    )
    return parser


def _end(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("one at least")
    return number


def tell(bench: str, comparisons: Iterable[Comparison], **facts: object) -> None:
    """The last line of every script: the result as JSON."""
    results = [
        {"what": each.what, "sides": {side: each.figures(side) for side in each.sides}, "ratios": each.ratios()}
        for each in comparisons
    ]
    # A load far above the cores says that others worked here too, and the figures are noisy.
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({"bench": bench, "cores": os.cpu_count(), "load": load, **facts, "results": results}), flush=True)
