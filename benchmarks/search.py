"""What it costs to find halls by words without marks: the directory against folding every hall for each question.

So many synthetic halls of Việt Nam's units; each question is asked of both in turn, and the ratio of the processor time
is what counts. Both must find the same halls.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from benchmarks.support.processes import machine
from bridges.directory import HallDirectory, Question, line_of
from bridges.halls import Hall
from bridges.synthetic import synthetic_halls
from bridges.units import Unit
from bridges.vietnam import load_vietnam_units

QUESTIONS = ("diem cau ba dinh", "d", "VN-00004-01", "0900 000 123", "khong co o dau ca")


def measure(count: int, rounds: int, seed: int) -> dict[str, object]:
    """The figures of one run."""
    units = {unit.code: unit for unit in load_vietnam_units()}
    halls = {hall.hall_id: hall for hall in synthetic_halls(units.values(), count, seed)}
    directory = HallDirectory()
    before = time.process_time()
    for _ in directory.renew(halls, units):
        pass
    made_s = time.process_time() - before
    found: dict[str, object] = {}
    for text in QUESTIONS:
        ours_ms: list[float] = []
        answers: list[str] = []
        theirs_ms: list[float] = []
        for _ in range(rounds):
            started = time.process_time()
            answers = directory.find(Question(text))
            between = time.process_time()
            others = _by_folding(halls, units, Question(text))
            theirs_ms.append((time.process_time() - between) * 1000)
            ours_ms.append((between - started) * 1000)
            if sorted(answers) != sorted(others):
                raise SystemExit(f"{text!r}: {len(answers)} halls are found, {len(others)} answer")
        ours, theirs = statistics.median(ours_ms), statistics.median(theirs_ms)
        found[text] = {
            "halls": len(answers),
            "cpu_ms": round(ours, 1),
            "folding_cpu_ms": round(theirs, 1),
            "ratio": round(theirs / ours, 1),
        }
    return {"halls": count, "made_cpu_s": round(made_s, 2), "questions": found}


def _by_folding(halls: dict[str, Hall], units: dict[str, Unit], question: Question) -> list[str]:
    found = []
    for hall in halls.values():
        above, unit = [hall.unit], units.get(hall.unit)
        while unit is not None:
            above.append(unit.name)
            unit = units.get(unit.parent)
        texts = (hall.name, hall.hall_id, hall.address, hall.contact_name, *above)
        if question.answers(line_of(*texts, phone=hall.contact_phone)):
            found.append(hall.hall_id)
    return found


def main() -> None:
    """Parse the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--halls", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="on one line")
    options = parser.parse_args()
    before = machine()
    figures = {
        "machine": before,
        "seed": options.seed,
        "rounds": options.rounds,
        **measure(options.halls, options.rounds, options.seed),
    }
    print(json.dumps(figures, ensure_ascii=False, indent=None if options.json else 2))


if __name__ == "__main__":
    main()
