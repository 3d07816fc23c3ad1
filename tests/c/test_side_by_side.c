/*
 * Sizes of a heap_2 that run side by side in a memory that ends: test_side_by_side SEED.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static size_t left = SIZE_MAX; /* allocations that succeed */

static void *counted_malloc(size_t size) {
    return left == 0 ? NULL : (left--, malloc(size));
}

static void *counted_calloc(size_t count, size_t size) {
    return left == 0 ? NULL : (left--, calloc(count, size));
}

static void *counted_realloc(void *old, size_t size) {
    return left == 0 ? NULL : (left--, realloc(old, size));
}

#define malloc counted_malloc
#define calloc counted_calloc
#define realloc counted_realloc
#include "by_size.c"
#include "runs.c"
#include "side_by_side.c"
#define served served_one_by_one
#define SERVED SERVED_ALONE
#define FAILED FAILED_ALONE
#define NO_MEMORY NO_MEMORY_ALONE
#define serve serve_alone
#define give_back give_back_alone
#include "best_fit.c"
#undef malloc
#undef calloc
#undef realloc

#define CHECK(what)                                                                                \
    if (!(what)) {                                                                                 \
        printf("line %d: %s\n", __LINE__, #what);                                                  \
        exit(1);                                                                                   \
    }

enum { EVENTS = 4000, FIRST = 700, LAST = 1500 };

static uint64_t wanted[EVENTS];
static int32_t ended[EVENTS];

static unsigned next(uint64_t *random, unsigned below) {
    *random = *random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (unsigned)(*random >> 33) % below;
}

/* Blocks of some sizes, about 60 of them live. */
static void make_events(uint64_t seed) {
    int32_t live[EVENTS], count = 0;
    for (int32_t i = 0; i < EVENTS; i++) {
        wanted[i] = 0;
        ended[i] = -1;
        if (count > 0 && next(&seed, 60) < (unsigned)count / 2) {
            const unsigned at = next(&seed, (unsigned)count);
            ended[i] = live[at];
            live[at] = live[--count];
        } else {
            wanted[i] = 2 + next(&seed, 6) * next(&seed, 6);
            live[count++] = i;
        }
    }
}

/* Whether there is memory for it if so many allocations succeed. */
static bool run(size_t allocations, struct rh_runs *found) {
    struct rh_beside search;
    left = allocations;
    enum rh_best_fit_result result =
        rh_beside_begin(&search, wanted, ended, EVENTS, 2, FIRST, LAST);
    while (result == RH_BEST_FIT_MORE)
        result = rh_beside_run(&search, 100);
    left = SIZE_MAX;
    CHECK(result == RH_BEST_FIT_DONE || result == RH_BEST_FIT_NO_MEMORY);
    *found = search.runs;
    search.runs.run = NULL;
    rh_beside_end(&search);
    return result == RH_BEST_FIT_DONE;
}

static int64_t failure_of(const struct rh_runs *runs, uint64_t size) {
    for (size_t i = 0; i < runs->count; i++)
        if (runs->run[i].first <= size && size <= runs->run[i].last) return runs->run[i].failed;
    return -2;
}

/* What the search of one after the other says. */
static unsigned compare(const struct rh_runs *found) {
    struct rh_best_fit search;
    unsigned serving = 0;
    CHECK(rh_best_fit_begin(&search, wanted, ended, EVENTS, 2, FIRST, LAST) == RH_BEST_FIT_MORE);
    while (rh_best_fit_run(&search, EVENTS) == RH_BEST_FIT_MORE) {
    }
    for (uint64_t size = FIRST; size <= LAST; size++) {
        const int64_t failed = failure_of(found, size);
        CHECK(failed >= -1 && failed == failure_of(&search.runs, size));
        serving += failed < 0;
    }
    rh_best_fit_end(&search);
    return serving;
}

int main(int count, char **words) {
    struct rh_runs found;
    CHECK(count == 2);
    make_events(strtoull(words[1], NULL, 10));
    size_t allocations = 0;
    for (; !run(allocations, &found); allocations++)
        free(found.run);
    const unsigned serving = compare(&found);
    printf("%zu allocations, %zu runs, %u of %u sizes\n", allocations, found.count, serving,
           LAST + 1 - FIRST);
    free(found.run);
    return 0;
}
