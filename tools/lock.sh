#!/bin/sh
# Pins every requirement with its hashes, without naming where packages come from.
# Existing pins stay unless the argument --upgrade is given.
set -eu
cd "$(dirname "$0")/.."
uv=${UV:-.venv/bin/uv}

compile() {
    "$uv" --quiet pip compile --generate-hashes --no-emit-index-url --no-emit-find-links --universal \
        --python-version 3.11 --custom-compile-command "make lock" "$@" >/dev/null
}

compile pyproject.toml --output-file requirements/runtime.txt "$@"
# What builds and what tests shares its versions with the runtime: a test runs what a hall runs.
compile --group build --constraint requirements/runtime.txt --output-file requirements/build.txt "$@"
compile --group console --output-file requirements/console.txt "$@"
compile pyproject.toml --group dev --constraint requirements/runtime.txt --constraint requirements/build.txt \
    --output-file requirements/dev.txt "$@"

if grep -nE '^ *--(extra-)?index-url|^ *--find-links|^ *--trusted-host|://' requirements/*.txt; then
    echo "requirements/ must not say where packages come from" >&2
    exit 1
fi
