#!/bin/bash
# Installs what package.json names into build/interop, once: a second run finds it there and does nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
there=$here/../../build/interop
mkdir -p "$there"
cd "$there"

exec 9>lock
flock 9
cmp -s "$here/package.json" installed.json && exit 0

command -v npm >/dev/null || { echo "npm is not installed: apt-get install npm" >&2; exit 1; }
rm -f installed.json
cp "$here/package.json" package.json
npm install --no-audit --no-fund --no-package-lock --ignore-scripts --loglevel=error
cp package.json installed.json
