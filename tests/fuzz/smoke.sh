#!/bin/sh
# smoke.sh TARGET BUILD: every kept input, then 5 s of new ones (FB_LONG=1: 60 s).
set -eu
name=$(basename "$1")
kept=$(dirname "$0")/regressions/$name
cd "$2"
mkdir -p "corpus/$name" "seeds/$name" profiles
set -- "$1" -max_total_time=$([ -n "${FB_LONG:-}" ] && echo 60 || echo 5) -timeout=10 -rss_limit_mb=1024 -verbosity=0 \
    -print_final_stats=1 "-artifact_prefix=$2/finding-$name-" "corpus/$name" "seeds/$name"
[ ! -d "$kept" ] || set -- "$@" "$kept"
exec "$@"
