#!/usr/bin/env bash
# Where does the broker's CPU time go?
#
#   benchmarks/profile.sh ["mqload arguments"] [interpreted]
#
# The broker compiled into .venv runs on one core, the load on another, and `perf` samples the broker for as long
# as the load lasts. Printed are the costliest functions: those of linnet are the Cython symbols
# (__pyx_f_..._core_router_... is linnet.core.router, a cdef method; __pyx_pw_... a call from Python),
# libpython is the interpreter, [k] the kernel, which for a broker means its system calls. Then the system calls
# of a shorter load are counted, when strace is here: what one message costs is often how many of them it needs.
# With "interpreted", or without perf, it is cProfile on the sources instead: its proportions flatter code that
# makes few calls, so trust it for the order of things only.
#
# Debian: apt-get install linux-perf strace. perf as an ordinary user needs kernel.perf_event_paranoid at most 1.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
load=${1:--s pairs -P 50 -n 4000000 -w 100}
bin=${BIN:-$root/.venv/bin}
out=$(mktemp -d)
port=$((20000 + RANDOM % 10000))
serve=(serve --listen "127.0.0.1:$port" --set event_loop=asyncio)
broker=
stop() { if [ -n "$broker" ]; then kill -TERM "$broker" 2>/dev/null && wait "$broker" || true; broker=; fi; }
trap 'stop; rm -rf "$out"' EXIT

${CC:-cc} -O2 -o "$out/mqload" "$root/benchmarks/mqload.c"

start() { # the command of the broker; returns when the port answers
  taskset -c 0 "$@" >"$out/log" 2>&1 &
  broker=$!
  until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    kill -0 "$broker" 2>/dev/null || { cat "$out/log"; exit 1; }
    sleep 0.05
  done
}
load() { taskset -c 1 "$out/mqload" -p "$port" "$@"; }

if [ "${2:-}" = interpreted ] || ! command -v perf >/dev/null; then
  PYTHONPATH=$root/src start "$bin/python" -m cProfile -o "$out/profile" -m linnet "${serve[@]}"
  # shellcheck disable=SC2086 # the arguments are words
  load $load
  stop
  "$bin/python" -c 'import pstats, sys; pstats.Stats(sys.argv[1]).sort_stats("tottime").print_stats(35)' "$out/profile"
  exit
fi

start "$bin/linnet" "${serve[@]}"
perf record -q -e cpu-clock -F 4999 -o "$out/perf" -p "$broker" &
perf=$!
# shellcheck disable=SC2086
load $load
kill -INT "$perf" && wait "$perf" || true
for sort in dso dso,symbol; do
  perf report -i "$out/perf" --stdio --no-children --sort $sort --percent-limit 0.8 2>/dev/null |
    sed -n '/^[^#]/s/ *\(- *\)*$//p'
  echo
done

if command -v strace >/dev/null; then
  echo "system calls of a load of 20,000 messages at most:"
  strace -c -f -o "$out/calls" -p "$broker" 2>/dev/null &
  strace=$!
  until grep -q "TracerPid:.*[1-9]" "/proc/$broker/status"; do
    kill -0 "$strace"
    sleep 0.05
  done
  # shellcheck disable=SC2086
  load $load -n 20000 >/dev/null
  kill -INT "$strace" && wait "$strace" || true
  head -12 "$out/calls"
fi
