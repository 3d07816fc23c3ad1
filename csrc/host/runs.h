/*
 * What is found of the sizes of a heap.
 */
#ifndef RH_RUNS_H
#define RH_RUNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes from `first` to `last`: which event fails in them, -1: none. */
struct rh_run {
    uint64_t first, last;
    int64_t failed;
};

struct rh_runs {
    struct rh_run *run;
    size_t count, room;
};

/* Adds a run, or adds it to the last one if it adjoins and the same event fails. False: no memory.
 */
bool rh_runs_add(struct rh_runs *runs, uint64_t first, uint64_t last, int64_t failed);

/* Room for one more of `count` items of `bytes`; NULL without memory, then the items stay. */
void *rh_grown(void *items, size_t count, size_t *room, size_t bytes);

#endif
