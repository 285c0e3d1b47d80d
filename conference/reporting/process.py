"""The process that writes one report: `python -m conference.reporting.process`, frames in, the form out.

A process of its own, because the sheets of a whole country take many seconds of one core and some hundred megabytes:
the program that answers halls must lose neither. It runs at a lower priority and ends with its report.
"""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from conference.reporting.wire import read_request, read_signature
from conference.reports.building import build_report
from conference.reports.rendering import render
from conference.reports.sealing import canonical_json, report_digest, seal_digest

NICENESS = 5  # halls that join go first, and yet an organiser does not wait for ever on a busy machine


def write_report(source: BinaryIO, sink: BinaryIO) -> None:
    """Read what is to be written, ask for a signature, and write the report."""
    request, given = read_request(source)
    report = build_report(given)
    del given
    canonical = canonical_json(report)
    digest = report_digest(canonical)
    sink.write(digest)
    sink.flush()
    signature = read_signature(source)
    seal = seal_digest(digest, lambda _message: signature, request.public_key)
    sink.write(render(report, canonical, request.report_format, request.language, seal, request.section))
    sink.flush()


def main() -> None:
    """Run the process; see the module."""
    os.nice(NICENESS)
    write_report(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
