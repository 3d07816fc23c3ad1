/*
 * The table of live blocks against an array, with addresses that somebody chose, and a log in a
 * memory that ends: test_log SEED.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t left = SIZE_MAX; /* allocations that succeed */

static void *counted_calloc(size_t count, size_t size) {
    return left == 0 ? NULL : (left--, calloc(count, size));
}

static void *counted_realloc(void *old, size_t size) {
    return left == 0 ? NULL : (left--, realloc(old, size));
}

#define calloc counted_calloc
#define realloc counted_realloc
#include "alike.c"
#include "live.c"
#define grow grow_log
#include "log.c"
#undef calloc
#undef realloc

#define CHECK(what)                                                                                \
    if (!(what)) {                                                                                 \
        printf("line %d: %s\n", __LINE__, #what);                                                  \
        exit(1);                                                                                   \
    }

enum { BLOCKS = 20000, PATTERNS = 6, MOST_AWAY = 300 };

static uint64_t address_of(int pattern, uint64_t n) {
    switch (pattern) {
    case 0: return 16 * n + 16;
    case 1: return (n << 32) + 1;
    case 2: return (n << 49) | n >> 15 | 1; /* few of the lowest bits */
    case 3: return UINT64_MAX - n;
    case 4: return n << 12 | UINT64_C(1) << 46;
    default: return (n + 1) * UINT64_C(0xF1DE83E19937733D); /* the inverse of the hash's factor */
    }
}

static size_t farthest(const struct rh_live *live) {
    size_t most = 0;
    for (size_t at = 0; at < live->size; at++) {
        if (live->table[at].address == 0) continue;
        const size_t away = (at - home_of(live, live->table[at].address)) & (live->size - 1);
        if (away > most) most = away;
    }
    return most;
}

static void test_live(int pattern, uint64_t seed) {
    struct rh_live live = {.seed = seed};
    for (uint64_t n = 0; n < BLOCKS; n++)
        CHECK(rh_live_put(&live, address_of(pattern, n), (int64_t)n) == RH_LIVE_NONE);
    CHECK(live.count == BLOCKS && live.size <= 4 * BLOCKS);
    CHECK(farthest(&live) < MOST_AWAY);
    for (uint64_t n = 0; n < BLOCKS; n += 3) {
        CHECK(rh_live_take(&live, address_of(pattern, n)) == (int64_t)n);
        CHECK(rh_live_take(&live, address_of(pattern, n)) == RH_LIVE_NONE);
    }
    for (uint64_t n = 0; n < BLOCKS; n++)
        CHECK(rh_live_at(&live, address_of(pattern, n)) ==
              (n % 3 == 0 ? RH_LIVE_NONE : (int64_t)n));
    for (uint64_t n = 1; n < BLOCKS; n += 3)
        CHECK(rh_live_put(&live, address_of(pattern, n), 5) == (int64_t)n);
    rh_live_clear(&live);
    CHECK(rh_live_take(&live, 16) == RH_LIVE_NONE && rh_live_at(&live, 16) == RH_LIVE_NONE);
}

/* Whether all calls of a log have memory, if so many allocations succeed. */
static bool fill(size_t allocations) {
    struct rh_log log = {.timed = true, .tasked = true};
    bool enough = true;
    left = allocations;
    for (uint64_t n = 1; enough && n < 3000; n++)
        enough = rh_log_malloc(&log, 16 * n, n, 1) && rh_log_malloc(&log, 16 * n, n, 2) &&
                 rh_log_realloc(&log, 16 * n, 8 * n, n, 3) && rh_log_free(&log, 16 * n, 4) &&
                 rh_alike_add(&log.alike, n) && rh_log_malloc_of(&log, 0, 5) &&
                 rh_log_malloc_of(&log, n - 1, 6) && rh_log_free_of(&log, 0, 7);
    left = SIZE_MAX;
    rh_log_drop(&log);
    return enough;
}

int main(int count, char **words) {
    const uint64_t seed = count > 1 ? strtoull(words[1], NULL, 0) : 0;
    for (int pattern = 0; pattern < PATTERNS; pattern++)
        test_live(pattern, seed);
    size_t needed = 0;
    while (!fill(needed))
        needed++;
    printf("%zu allocations\n", needed);
    return 0;
}
