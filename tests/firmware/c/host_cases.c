/*
 * cases.c as a program of this machine: cases on standard input,
 * results on standard output, the arena where a Cortex-M's SRAM starts.
 */
#define _GNU_SOURCE
#include "cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define ARENA_ADDRESS ((uintptr_t)0x20000000)
#define ARENA_SIZE ((size_t)16 << 20)
#define GUARD_SIZE ((size_t)4096)

static size_t read_word(void) {
    size_t word;
    if (fread(&word, sizeof word, 1, stdin) != 1) exit(3);
    return word;
}

static void write_bytes(const void *bytes, size_t size) {
    if (fwrite(bytes, 1, size, stdout) != size) exit(4);
}

int main(void) {
    /* A wild free may look for a header in the bytes before the arena. */
    void *wanted = (void *)(ARENA_ADDRESS - GUARD_SIZE);
    void *mapped = mmap(wanted, GUARD_SIZE + ARENA_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped != wanted) return 5;
    const struct cases_platform platform = {(uint8_t *)mapped + GUARD_SIZE, ARENA_SIZE, read_word,
                                            write_bytes};
    cases_run(&platform);
    return fflush(stdout) == 0 ? 0 : 4;
}
