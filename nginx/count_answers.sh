#!/bin/sh
# Adds up what the edge answered since the last time, for Prometheus: nginx counts no hits itself. It writes a line an
# answer into $RUN_DIR/answers (snippets/count.conf); the sums are $RUN_DIR/metrics, which conf.d/metrics.conf serves.
# Usage: RUN_DIR=... count_answers.sh     (every few seconds; whoever starts nginx does so. `new`: begins at 0)
set -eu
program=$(dirname "$(realpath "$0")")/count_answers.awk
cd "$RUN_DIR"

if [ "${1:-}" = new ]; then
    rm -f answers seen metrics
    exit
fi
[ -e answers ] || exit 0
touch metrics
seen=$(cat seen 2> /dev/null || echo 0)
size=$(wc -c < answers)
tail -c "+$((seen + 1))" answers | head -c "$((size - seen))" | awk -f "$program" part=sums metrics part=lines - > metrics.new
if [ "$size" -gt 16000000 ]; then
    # An answer in the moment between may go uncounted: one in a million.
    : > answers
    size=0
fi
echo "$size" > seen
mv metrics.new metrics
