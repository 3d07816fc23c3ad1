/*
 * An allocator that never reuses anything, and at its call WRONG_AT does what WRONG says. Calls of
 * malloc, free and realloc are counted together, from 0 on.
 */
#include "rh_foreign.h"

#include <stdint.h>
#include <string.h>
#ifdef WITH_ASSERT
#include <assert.h>
#endif

enum wrong {
    NOTHING,
    FAULT,
    CODE,
    LOOP,
    RECURSION,
    ASSERTION,
    ABORT,
    BEFORE,
    BEHIND,
    FAR_BEHIND,
    LIVE,
    OUTSIDE,
    MISALIGNED,
    HALF_ALIGNED,
    OVERLAP,
    LOSE,
    JUMP
};

void abort(void);

static unsigned char *start, *next, *end, *last;
static unsigned calls;
static volatile unsigned depth;

static unsigned recurse(volatile unsigned *above) {
    volatile unsigned here[64];
    here[0] = *above + 1;
    return recurse(here) + here[0];
}

static void do_wrong(void) {
    if (calls++ != WRONG_AT) return;
    switch (WRONG) {
    case FAULT: *(volatile uint32_t *)0x60000000u = 1; break;
    case CODE: *(volatile uint32_t *)(uintptr_t)depth = 1; break; /* through a null pointer */
    case LOOP:
        for (;;)
            depth++;
    case RECURSION: depth = recurse(&depth); break;
#ifdef WITH_ASSERT
    case ASSERTION: assert(next == NULL); break;
#endif
    case ABORT: abort();
    case BEFORE: start[-1] = 0; break;
    case BEHIND: end[3] = 0; break;
    case FAR_BEHIND: end[4096] = 0; break;
    case LIVE: last[5] ^= 1; break;
    case JUMP: ((void (*)(void))(uintptr_t)(start + 1))(); break;
    default: break;
    }
}

bool rh_foreign_init(void *memory, size_t size) {
    start = next = memory;
    end = start + size;
    return size >= 64;
}

static unsigned char *take(size_t size) {
    unsigned char *block = next;
    if (size > (size_t)(end - next)) return NULL;
    const size_t taken = (size + 7) & ~(size_t)7;
    next = taken < (size_t)(end - next) ? next + taken : end;
    return block;
}

void *rh_foreign_malloc(size_t size) {
    const bool now = calls == WRONG_AT;
    do_wrong();
    if (now && WRONG == OUTSIDE) return end - size + 1;
    if (now && WRONG == OVERLAP) return last;
    unsigned char *block = take(now && WRONG == HALF_ALIGNED ? size + 8 : size);
    if (block != NULL) last = block;
    if (now && WRONG == HALF_ALIGNED) return block + 4;
    return now && WRONG == MISALIGNED ? block + 2 : block;
}

void rh_foreign_free(void *memory) {
    (void)memory;
    do_wrong();
}

#ifdef WITH_REALLOC
void *rh_foreign_realloc(void *memory, size_t size) {
    const bool now = calls == WRONG_AT;
    do_wrong();
    unsigned char *block = take(size);
    if (block != NULL) memcpy(block, memory, now && WRONG == LOSE ? size / 2 : size);
    return block;
}
#endif
