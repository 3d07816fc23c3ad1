/*
 * Which sizes of a heap_3 serve a trace: all of them, in one search.
 *
 * An arena's size shows in what sbrk refuses, and nowhere else. So a range of sizes runs as one, in
 * an arena of its smallest. Where sbrk refuses what it would grant the larger ones, they go on from
 * before that event: by themselves if it failed, for then nothing has changed; or later, from a
 * copy, if the smaller ones go on too, since a chunk could be extended.
 */
#ifndef RH_SBRK_SIZES_H
#define RH_SBRK_SIZES_H

#include "replay.h"
#include "runs.h"

/* All that a replay changes, one after the other; `bytes` of it. */
struct rh_sbrk_memory {
    void *at;
    size_t bytes;
};
enum { RH_SBRK_MEMORIES = 4 }; /* the heap's state, its arena, its shadow, the slots */

/* A part of the range that waits for its turn: up to `last`, from before `event`. Parts next to one
 * another may have one copy. */
struct rh_sbrk_part {
    uint64_t last;
    size_t event;
    unsigned char *copy;
};

struct rh_sbrk_sizes {
    struct rh_replay *replay; /* begun, of a new heap; it stops at a failure */
    struct rh_sbrk_memory memory[RH_SBRK_MEMORIES];

    uint64_t first, last;       /* the range that runs now */
    struct rh_sbrk_part *parts; /* the next one last */
    size_t part_count, part_room;
    struct rh_runs runs; /* what was found */
    uint64_t done;       /* events that were run, of all parts */
};

enum rh_sbrk_result {
    RH_SBRK_DONE,
    RH_SBRK_MORE,
    RH_SBRK_NO_MEMORY,
    RH_SBRK_BROKEN /* the replay says what: its result is in *broken */
};

/* The sizes from `first` to `last`, the arena's, of a search whose replay and memory are set; all
 * else is 0. */
void rh_sbrk_begin(struct rh_sbrk_sizes *search, uint64_t first, uint64_t last);
/* Runs about so many events, or to the end. */
enum rh_sbrk_result rh_sbrk_run(struct rh_sbrk_sizes *search, size_t events,
                                enum rh_replay_result *broken);
void rh_sbrk_end(struct rh_sbrk_sizes *search);

#endif
