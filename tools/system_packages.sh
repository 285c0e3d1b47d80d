#!/bin/sh
# Installs what the tests need from Debian or Ubuntu: a real browser, a real Redis, and `ip`.
set -eu

missing=""
command -v chromium >/dev/null || missing="$missing chromium"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v ip >/dev/null || missing="$missing iproute2"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing$missing…" >&2
    apt-get -qq update
    # Redis must not start a service of its own: tests start theirs on free ports.
    # shellcheck disable=SC2086 # the list is meant to split
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
    echo "The tests need more programs; run: sudo apt-get install$missing" >&2
    exit 1
fi
