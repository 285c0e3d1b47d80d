#!/bin/sh
# Installs what the tests need from Debian or Ubuntu: a real browser, a real Redis with Sentinel, a real TURN server,
# `ip` and `iptables`, `strace`, which makes a disk slow, and LibreOffice, which calculates our workbooks.
set -eu

missing=""
command -v chromium >/dev/null || missing="$missing chromium"
command -v redis-server >/dev/null || missing="$missing redis-server"
command -v redis-sentinel >/dev/null || missing="$missing redis-sentinel"
command -v ip >/dev/null || missing="$missing iproute2"
[ -x /sbin/mkfs.ext4 ] || missing="$missing e2fsprogs"
command -v iptables >/dev/null || missing="$missing iptables"
command -v turnserver >/dev/null || missing="$missing coturn"
command -v strace >/dev/null || missing="$missing strace"
command -v soffice >/dev/null || missing="$missing libreoffice-calc-nogui"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Đang cài / Installing$missing…" >&2
    apt-get -qq update
    # Redis and coturn must not start services of their own: tests start theirs, on free ports and in namespaces.
    # shellcheck disable=SC2086 # the list is meant to split
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null
else
    echo "Còn thiếu chương trình cho kiểm thử, hãy chạy / The tests need more, run: sudo apt-get install$missing" >&2
    exit 1
fi
