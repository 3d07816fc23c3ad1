#!/usr/bin/env bash
# Line and branch coverage of the core by the test-suite, with gcovr:
#
#     tests/coverage/measure.sh > tests/coverage/RESULTS.txt
#
# The extensions are built with --coverage and run the tests of heaps, replay and laboratory; the
# core as firmware has it is covered by c/test_core.c in every configuration. gcc -O0, so that a
# line is a line. Where several builds compile a line, they count together.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
cp -r "$root/rtosheap" "$work/rtosheap"
rm -f "$work"/rtosheap/*.so
flags=(-O0 -g --coverage -DRH_INLINE='static inline __attribute__((unused))' -fPIC -std=c11
    -DPy_LIMITED_API=0x030B0000 -I"$root/csrc/core" -I"$root/csrc/host" -isystem "$include")

compile() { # compile NAME FLAGS... -- SOURCES...: objects into a directory of their own
    local name=$1 options=()
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    mkdir -p "$work/$name"
    for source in "$@"; do
        gcc "${flags[@]}" "${options[@]}" -c "$source" -o "$work/$name/$(basename "$source" .c).o"
    done
}

{
    compile core -DRH_HOSTED=1 -DRH_CHECKS=2 -- "$root"/csrc/python/*.c "$root"/csrc/host/*.c
    gcc --coverage -shared "$work"/core/*.o -o "$work/rtosheap/_core.abi3.so"
    compile lab -I"$root/csrc/lab" -- "$root"/csrc/lab/*.c "$root/csrc/host/versions.c"
    gcc --coverage -shared "$work"/lab/*.o -o "$work/rtosheap/_lab.abi3.so"
    compile formats -I"$root/csrc/formats" -- "$root"/csrc/formats/*.c
    gcc --coverage -shared "$work"/formats/*.o -o "$work/rtosheap/_formats.abi3.so"
    cd "$root/tests"
    tests=(test_conformance.py test_corruption.py test_heaps_*.py test_metamorphic.py
        test_replay.py test_stateful.py)
    for file in "${tests[@]}"; do
        [ -f "$file" ] || { echo "measure.sh names $file, and tests/ has no such file"; exit 1; }
    done
    PYTHONPATH=$work "$python" -m pytest -q -p no:cacheprovider -m "" "${tests[@]}"
    number=0
    for options in "" "-DRH_CHECKS=1" "-DRH_CHECKS=2" "-DRH_CHECKS=1 -DRH_PROTECTOR=1" \
        "-DRH_CLEAR_ON_FREE=1 -DRH_TWO_TO_A_TURN=0"; do
        number=$((number + 1))
        # shellcheck disable=SC2086
        compile "firmware$number" $options -- "$root/tests/c/test_core.c" "$root"/csrc/core/heap_[12345].c
        gcc --coverage "$work/firmware$number"/*.o -o "$work/firmware$number/program"
        "$work/firmware$number/program"
    done
    compile hosted -DRH_HOSTED=1 -DRH_CHECKS=2 -- "$root/tests/c/test_core.c" \
        "$root"/csrc/host/core_w*.c "$root/csrc/host/ops.c"
    gcc --coverage "$work"/hosted/*.o -o "$work/hosted/program"
    "$work/hosted/program"
    compile rules -DRH_HOSTED=1 -DRH_CHECKS=0 -- "$root/tests/c/test_check.c" \
        "$root"/csrc/core/heap_[12345].c "$root/csrc/host/newlib_nano.c"
    gcc --coverage "$work"/rules/*.o -o "$work/rules/program"
    "$work/rules/program"
} >&2
cd "$root"
"$python" -m gcovr --root "$root" --object-directory "$work" --filter 'csrc/core/heap_.*\.c' \
    --filter 'csrc/core/rh_(layout|first_fit)\.h' --filter 'csrc/host/newlib_nano\.c' --merge-lines --gcov-ignore-errors=no_working_dir_found \
    --gcov-ignore-parse-errors=all --txt-metric line --txt - --json "$work/all.json" "$work"
"$python" "$root/tests/coverage/branches.py" "$work/all.json"
