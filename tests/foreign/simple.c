/*
 * First fit over a list, with what an allocator may do wrong, at the FAULT_AT-th call of FAULT_IN.
 * Blocks are cut in units of 16 bytes; a header of 16 bytes lies before each payload.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rh_foreign.h"

#ifndef FAULT_AT
#define FAULT_AT 0
#endif
#ifndef RECORD
#define RECORD (4096 / 8 + 1) /* an entry of the first column */
#endif
#ifndef FAULT
#define FAULT 0
#endif

enum {
    NO_FAULT,
    CRASH,
    LOOP,
    EXIT,
    ABORT,
    MISALIGNED,
    OVERLAP,
    OUTSIDE,
    FOREIGN,
    NEIGHBOUR,
    MARGIN,
    GUARD,
    RECORDS,
    USABLE,
    FREE_SIZE,
    WALK,
    SLEEP,
    CUT,
    LATE /* a write into a neighbour that no free finds */
};

struct block {
    uint32_t units, used;
    uint64_t unused;
};
#define UNIT sizeof(struct block)

static struct block *arena;
static uint32_t all;
static unsigned mallocs;
static void *last;
static volatile int *volatile nowhere = (volatile int *)8;

bool rh_foreign_init(void *memory, size_t size) {
#ifdef PRINTS
    printf("hello from init\n");
    fprintf(stderr, "and from stderr\n");
#endif
    if (size < 2 * UNIT) return false;
    arena = memory;
    all = (uint32_t)(size / UNIT);
    arena->units = all;
    arena->used = 0;
    return true;
}

static struct block *next(struct block *block) {
    return block + block->units;
}

static struct block *end(void) {
    return arena + all;
}

static void *find(size_t size) {
    if (size > all * UNIT) return NULL;
    const uint32_t units = (uint32_t)((size + UNIT - 1) / UNIT + 1);
    for (struct block *block = arena; block < end(); block = next(block)) {
        while (!block->used && next(block) < end() && !next(block)->used)
            block->units += next(block)->units;
        if (block->used || block->units < units) continue;
        if (block->units > units) {
            block[units].units = block->units - units;
            block[units].used = 0;
            block->units = units;
        }
        block->used = 1;
        return block + 1;
    }
    return NULL;
}

/* Into every mapping that can be written to and has to do with what is recorded. */
static void overwrite_records(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long long from, to;
        char access[8];
        if (sscanf(line, "%llx-%llx %7s", &from, &to, access) != 3) continue;
        if (strncmp(access, "rw-s", 4) == 0 && strstr(line, "rtosheap-told") != NULL)
            ((volatile uint64_t *)(uintptr_t)from)[RECORD] ^= 0xFF00;
    }
    if (maps != NULL) fclose(maps);
}

/* Of what it shares nothing is left, if that can be. */
static void cut_files(void) {
    for (int file = 0; file < 256; file++) {
        char link[32], name[64] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        if (readlink(link, name, sizeof name - 1) < 0) continue;
        if (strstr(name, "rtosheap-told") == NULL && strstr(name, "rtosheap-asked") == NULL)
            continue;
        if (ftruncate(file, 0) != 0) continue;
    }
}

static void *go_wrong(void *block, size_t size) {
    char *bytes = block;
    switch (FAULT) {
    case CRASH: *nowhere = 1; break;
    case LOOP:
        for (volatile int turn = 0;; turn++)
            continue;
    case SLEEP:
        for (;;)
            sleep(1000);
    case EXIT: exit(7);
    case ABORT: fprintf(stderr, "block list corrupt\n"); abort();
    case MISALIGNED: return bytes + 4;
    case OVERLAP: return last;
    case OUTSIDE: return (char *)end() - 8;
    case FOREIGN: return malloc(size);
    case LATE:
    case NEIGHBOUR: ((char *)last)[3] ^= 1; break;
    case MARGIN: *((volatile char *)arena + all * UNIT) = 1; break;
    case GUARD: *((volatile char *)arena - 4096) = 1; break;
    case RECORDS: overwrite_records(); break;
    case CUT: cut_files(); break;
    default: break;
    }
    return block;
}

void *rh_foreign_malloc(size_t size) {
    void *block = find(size);
    if (mallocs++ == FAULT_AT) block = go_wrong(block, size);
    if (block != NULL) last = block;
#ifdef PRINTS
    printf("malloc %zu\n", size);
#endif
    return block;
}

void rh_foreign_free(void *memory) {
    ((struct block *)memory)[-1].used = 0;
}

#ifdef TELLS
size_t rh_foreign_usable_size(void *memory) {
    const size_t size = (((struct block *)memory)[-1].units - 1) * UNIT;
    return FAULT == USABLE && mallocs > FAULT_AT ? 1 : size;
}

size_t rh_foreign_free_size(void) {
    size_t free = 0;
    for (struct block *block = arena; block < end(); block = next(block))
        if (!block->used) free += block->units * UNIT;
    return FAULT == FREE_SIZE && mallocs > FAULT_AT ? all * UNIT + 1 : free;
}

void rh_foreign_walk(rh_foreign_visitor visit, void *context) {
    const size_t more = FAULT == WALK && mallocs > FAULT_AT ? all * UNIT : 0;
    for (struct block *block = arena; block < end(); block = next(block))
        visit(block + 1, (block->units - 1) * UNIT + more, (int)block->used, context);
}
#endif

#ifdef REALLOCATES
/* In place where it shrinks or the last one grows; LOSES: without the bytes. */
void *rh_foreign_realloc(void *memory, size_t size) {
    struct block *block = (struct block *)memory - 1;
    if (size <= (block->units - 1) * UNIT) return memory;
    void *moved = find(size);
    if (moved == NULL) return NULL;
#ifndef LOSES
    memcpy(moved, memory, (block->units - 1) * UNIT);
#endif
    block->used = 0;
    return moved;
}

void *rh_foreign_aligned(size_t alignment, size_t size) {
    void *block = find(size);
    return (uintptr_t)block % alignment == 0 ? block : NULL;
}
#endif
