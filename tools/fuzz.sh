#!/bin/sh
# Runs every fuzz target for so many seconds each: tools/fuzz.sh SECONDS
# New inputs go to a directory of their own, so that the committed corpus stays small.
set -eu
cd "$(dirname "$0")/.."
seconds=$1

for target in tests/fuzz/fuzz_*.py; do
    name=$(basename "$target" .py)
    corpus="tests/fuzz/corpus/${name#fuzz_}"
    found="var/fuzz/$name"
    mkdir -p "$found"
    [ -d "$corpus" ] || corpus=""
    echo "== $name"
    # shellcheck disable=SC2086 # an absent corpus is no argument
    PYTHONPATH=. .venv/bin/python "$target" -max_total_time="$seconds" -rss_limit_mb=1024 -artifact_prefix="$found/" "$found" $corpus
done
