#!/usr/bin/env bash
# Builds the package's extensions with AddressSanitizer and UndefinedBehaviorSanitizer into a
# directory of their own, and prints what a test run needs of the environment.
#
#     tests/tools/build_asan.sh DIRECTORY [options of the compiler, such as -DRH_POLICIES=0]
#     tests/tools/run_asan.sh DIRECTORY [pytest's arguments]
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
to=$1
python=${PYTHON:-python3}
mkdir -p "$to"
rm -rf "$to/rtosheap"
cp -r "$root/rtosheap" "$to/rtosheap"
rm -f "$to"/rtosheap/*.so
include=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
flags=(-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
    -shared -fPIC -std=c11 -DPy_LIMITED_API=0x030B0000 -I"$root/csrc/core"
    -I"$root/csrc/host" -isystem "$include")
gcc "${flags[@]}" -DRH_HOSTED=1 -DRH_CHECKS=2 "${@:2}" "$root"/csrc/python/*.c "$root"/csrc/host/*.c \
    -o "$to/rtosheap/_core.abi3.so"
gcc "${flags[@]}" -I"$root/csrc/lab" "$root"/csrc/lab/*.c "$root/csrc/host/versions.c" \
    -o "$to/rtosheap/_lab.abi3.so"
gcc "${flags[@]}" -I"$root/csrc/formats" "$root"/csrc/formats/*.c \
    -o "$to/rtosheap/_formats.abi3.so"
