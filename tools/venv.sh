#!/bin/sh
# Makes .venv with the pinned requirements and this project in it: tools/venv.sh runtime|dev
# Needs a Python 3.11 or newer and the package index that pip is set up for; every file is checked against its hash.
set -eu
cd "$(dirname "$0")/.."
kind=$1

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

find_python() {
    # 3.11 first: it is what the project is tested with.
    for candidate in ${PYTHON:-} python3.11 python3 python3.12 python3.13; do
        if is_new_enough "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    echo "Cần Python 3.11 trở lên / Python 3.11 or newer is needed: sudo apt-get install python3 python3-venv" >&2
    exit 1
}

make_venv() {
    python=$(find_python)
    rm -rf .venv
    if ! "$python" -m venv .venv >/dev/null 2>&1; then
        rm -rf .venv
        package="$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get -qq update
            DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$package" >/dev/null
        else
            echo "Thiếu mô-đun venv của Python, hãy chạy / Python's venv module is missing, run: sudo apt-get install $package" >&2
            exit 1
        fi
        "$python" -m venv .venv
    fi
}

if ! is_new_enough .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    make_venv
fi

pip() {
    .venv/bin/python -m pip --disable-pip-version-check --no-input "$@"
}

echo "Đang cài các gói đã ghim ($kind) / Installing pinned packages; the first time takes a minute or two…" >&2
pip install --quiet --require-hashes -r requirements/build.txt -r "requirements/$kind.txt"
pip install --quiet --no-deps --no-build-isolation --no-index -e .
touch ".venv/installed-$kind"
# What tests need contains what the demo needs.
[ "$kind" != dev ] || touch .venv/installed-runtime
