/*
 * Which of a few neighbouring sizes of a heap_2 serve a trace: all of them run side by side.
 *
 * They differ little. So the first of the parts, into which the sizes fall, runs as it is; of each
 * other one there is what it has otherwise: of which sizes more blocks are free, or fewer, and
 * which live blocks are larger or smaller. An event that meets none of that goes the same way in
 * all.
 *
 * Blocks, tails and sizes are what they are in best_fit.h.
 */
#ifndef RH_SIDE_BY_SIDE_H
#define RH_SIDE_BY_SIDE_H

#include "best_fit.h"

/* So many more blocks of a size are free than in the first part; never 0. */
struct rh_beside_free {
    uint64_t size;
    int64_t more;
};

/* What an event was given, where the first part was given another size. */
struct rh_beside_live {
    uint32_t event;
    uint64_t size; /* 0: the tail */
};

struct rh_beside_part {
    uint64_t first, last;
    uint64_t cut; /* from the tail */
    bool tail_free;
    struct rh_beside_free *free;
    size_t free_count, free_room;
    struct rh_beside_live *live;
    size_t live_count, live_room;
};

/* Classes of sizes of which a part has a block more than the first part, its tail among them, or
 * one fewer: what need not be looked at is told by a bit. */
struct rh_beside_meets {
    uint64_t more, fewer;
};

struct rh_beside {
    struct rh_best_fit_event *events;
    size_t event_count;
    uint64_t split_above;
    uint64_t largest;       /* that is wanted */
    uint64_t leading;       /* a size: the first part has it, or those nearest to it */
    struct rh_by_size list; /* the first part's, but for the tail */
    uint8_t *differs;       /* by event: some part may have been given another size */
    size_t event;           /* the next one */
    struct rh_beside_part *parts;
    size_t part_count, part_room;
    struct rh_beside_meets *meets; /* by part, but for the first */
    size_t meets_room;
    struct rh_runs runs;
};

/* As rh_best_fit_begin(). */
enum rh_best_fit_result rh_beside_begin(struct rh_beside *search, const uint64_t *wanted,
                                        const int32_t *ended, size_t events, uint64_t split_above,
                                        uint64_t first, uint64_t last);
/* Runs so many events, or to the end. */
enum rh_best_fit_result rh_beside_run(struct rh_beside *search, uint64_t events);
void rh_beside_end(struct rh_beside *search);

#endif
