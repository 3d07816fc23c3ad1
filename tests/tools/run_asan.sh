#!/usr/bin/env bash
# Runs pytest on the build of build_asan.sh:  tests/tools/run_asan.sh DIRECTORY [arguments]
#
# Leaks are test_leaks.py's affair: CPython itself keeps memory until it ends.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
to=$1
shift
python=${PYTHON:-python3}
cd "$root/tests"
LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libstdc++.so)" \
    ASAN_OPTIONS=detect_leaks=0:abort_on_error=1:allocator_may_return_null=1 \
    UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
    PYTHONMALLOC=malloc PYTHONPATH="$to" RTOSHEAP_SANITIZED=1 \
    exec "$python" -m pytest -p no:cacheprovider -m "" "$@"
