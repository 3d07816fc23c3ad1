/*
 * The replayer of csrc/cortexm/cases.c as a program of this machine: cases on standard input,
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

uint8_t *cases_arena;
size_t cases_arena_size = ARENA_SIZE;

size_t cases_read(void) {
    size_t word;
    if (fread(&word, sizeof word, 1, stdin) != 1) exit(3);
    return word;
}

void cases_write(const void *bytes, size_t size) {
    if (fwrite(bytes, 1, size, stdout) != size) exit(4);
}

int main(void) {
    /* A wild free may look for a header in the bytes before the arena. */
    void *wanted = (void *)(ARENA_ADDRESS - GUARD_SIZE);
    void *mapped = mmap(wanted, GUARD_SIZE + ARENA_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (mapped != wanted) return 5;
    cases_arena = (uint8_t *)mapped + GUARD_SIZE;
    cases_run();
    return fflush(stdout) == 0 ? 0 : 4;
}
