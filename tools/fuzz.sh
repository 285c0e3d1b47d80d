#!/bin/sh
# Runs fuzz targets side by side, each for so many seconds: tools/fuzz.sh SECONDS [TARGET...]
# Without names all targets run. They take only time that nobody else wants. What they find stays under var/fuzz/TARGET:
# `inputs` (new ones, so that the committed corpus stays small), `findings` (what crashed, hung or grew) and `log`.
# The last lines say of each target how many inputs it ran, how many findings are new, and with what status it ended;
# the status of the whole is 1 when a target did not end well.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
shift
if [ $# -eq 0 ]; then
    for target in tests/fuzz/fuzz_*.py; do
        name=$(basename "$target" .py)
        set -- "$@" "${name#fuzz_}"
    done
fi

lowest="nice -n 19"
# The idle class gives way to every other process, which niceness alone does not.
if command -v chrt >/dev/null && chrt -i 0 true 2>/dev/null; then lowest="chrt -i 0 $lowest"; fi
findings_of() { find "var/fuzz/$1/findings" -type f | wc -l; }

started=""
stop() {
    # shellcheck disable=SC2086 # a list of process ids
    [ -z "$started" ] || kill $started 2>/dev/null || true
}
trap stop INT TERM

for name in "$@"; do
    place="var/fuzz/$name"
    corpus="tests/fuzz/corpus/$name"
    mkdir -p "$place/inputs" "$place/findings"
    findings_of "$name" >"$place/known"
    [ -d "$corpus" ] || corpus=""
    # shellcheck disable=SC2086 # an absent corpus is no argument, and the priority is a command of several words
    PYTHONPATH=. $lowest .venv/bin/python "tests/fuzz/fuzz_$name.py" -max_total_time="$seconds" -rss_limit_mb=1024 \
        -timeout=300 -artifact_prefix="$place/findings/" -print_final_stats=1 "$place/inputs" $corpus >"$place/log" 2>&1 &
    started="$started $!"
    echo $! >"$place/pid"
done

worst=0
for name in "$@"; do
    place="var/fuzz/$name"
    status=0
    wait "$(cat "$place/pid")" || status=$?
    rm "$place/pid"
    # Progress lines begin with the number of runs; the statistics at the end are missing after a crash.
    runs=$(sed -n -e 's/^stat::number_of_executed_units: *//p' -e 's/^#\([0-9]*\).*/\1/p' "$place/log" | tail -n 1)
    new=$(($(findings_of "$name") - $(cat "$place/known")))
    printf '%-8s runs %10s  new findings %3d  exit %d\n' "$name" "${runs:-0}" "$new" "$status"
    [ "$status" -eq 0 ] || worst=1
done
exit "$worst"
