/*
 * Which sizes of a heap_2 serve a trace: all of them, in one search.
 *
 * All that depends on an arena's size is how large its last block is, the tail. So a range of sizes
 * runs as one, up to an event at which the tail serves some of them otherwise than others. There
 * the range is cut, and its parts go on one after the other, from a copy.
 *
 * Blocks are numbers here, and no arena is written to. Sizes are counted in steps of the alignment;
 * an arena's is that of its blocks.
 */
#ifndef RH_BEST_FIT_H
#define RH_BEST_FIT_H

#include "by_size.h"
#include "runs.h"

/* The tail's number, which is in no list. */
#define RH_BEST_FIT_TAIL (RH_NO_BLOCK - 1)

struct rh_best_fit_event {
    uint64_t wanted; /* the size of the block that it asks for, or 0 */
    uint32_t ended;  /* the event whose block ends here, or RH_NO_BLOCK */
    uint32_t block;  /* what it was given */
};

/* What an arena looks like, but for its size. */
struct rh_best_fit_state {
    struct rh_by_size list; /* but for the tail */
    uint64_t cut;           /* from the tail; the rest of the arena is the tail's */
    uint32_t tail_stamp;    /* when the tail was given back */
    bool tail_free;
};

/* As it was before an event, for the parts of a range that was cut there, or not far from it. */
struct rh_best_fit_copy {
    struct rh_best_fit_state state;
    size_t event;
    unsigned parts; /* that still wait */
};

struct rh_best_fit_part {
    uint64_t first, last;
    struct rh_best_fit_copy *copy;
};

struct rh_best_fit {
    struct rh_best_fit_event *events;
    size_t event_count;
    uint64_t split_above; /* a rest of no more stays in its block */
    uint64_t only;        /* the range of sizes that are as this one, and no other; 0: all */
    bool ends_alone;      /* up to the first size that serves, and down to the last that fails */

    struct rh_best_fit_state state;
    uint64_t first, last; /* the range that runs now */
    size_t event;         /* the next one */
    bool descends;        /* the largest sizes come first */

    struct rh_best_fit_copy *copy;  /* for parts that this event cuts off, or NULL */
    struct rh_best_fit_part *parts; /* the next one last */
    size_t part_count, part_room;

    struct rh_runs runs; /* what was found; first those of the smallest sizes, ascending */
    uint64_t done;       /* events that were run, of all parts */
};

enum rh_best_fit_result {
    RH_BEST_FIT_DONE,
    RH_BEST_FIT_MORE,
    RH_BEST_FIT_NO_MEMORY, /* or more events than can be counted */
    RH_BEST_FIT_NO_EVENT   /* what ends somewhere is no block that an earlier event was given */
};

/* What each event wants, and which one's block ends there: RH_BEST_FIT_MORE, or what is wrong; in
 * each case what was `taken` is to be freed. */
enum rh_best_fit_result rh_best_fit_take_events(struct rh_best_fit_event **taken,
                                                const uint64_t *wanted, const int32_t *ended,
                                                size_t count, uint64_t *largest);

/* Begins with the sizes from `first` to `last`: RH_BEST_FIT_MORE, or what is wrong; `only` and
 * `ends_alone` can be set next. In each case end() is to be called. An event wants a block of so
 * many steps, or 0: none; and ends the block of the event `ended`, or -1. The arrays may change
 * meanwhile, and are read once. */
enum rh_best_fit_result rh_best_fit_begin(struct rh_best_fit *search, const uint64_t *wanted,
                                          const int32_t *ended, size_t events, uint64_t split_above,
                                          uint64_t first, uint64_t last);
/* Runs about so many events, or to the end. */
enum rh_best_fit_result rh_best_fit_run(struct rh_best_fit *search, uint64_t events);
void rh_best_fit_end(struct rh_best_fit *search);

#endif
