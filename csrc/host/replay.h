/*
 * A whole trace through a heap, with what happened at each event. No Python here: the extension
 * and the benchmarks run the same loop.
 */
#ifndef RH_REPLAY_H
#define RH_REPLAY_H

#include "ops.h"

enum { RH_EVENT_MALLOC = 'm', RH_EVENT_REALLOC = 'r', RH_EVENT_FREE = 'f' };

enum rh_failure {
    RH_FAILURE_NONE,
    RH_FAILURE_EXHAUSTION,
    RH_FAILURE_FRAGMENTATION,
    RH_FAILURE_ASSERTION, /* the device would have stopped, or gone wrong */
    RH_FAILURES
};
#define RH_FAILURE_NAMES                                                                           \
    {                                                                                              \
        [RH_FAILURE_NONE] = "none", [RH_FAILURE_EXHAUSTION] = "exhaustion",                        \
        [RH_FAILURE_FRAGMENTATION] = "fragmentation", [RH_FAILURE_ASSERTION] = "assertion",        \
    }

/* What can be recorded of each event: COLUMN(type of an entry, name). */
#define RH_COLUMNS(COLUMN)                                                                         \
    COLUMN(uint64_t, address)                                                                      \
    COLUMN(uint64_t, block_size)                                                                   \
    COLUMN(uint64_t, free_size)                                                                    \
    COLUMN(uint64_t, largest_free_block)                                                           \
    COLUMN(uint32_t, free_block_count)                                                             \
    COLUMN(uint64_t, live_bytes)                                                                   \
    COLUMN(uint32_t, nodes)                                                                        \
    COLUMN(uint8_t, failed)                                                                        \
    COLUMN(uint8_t, failure)

/* The caller's arrays, one entry per event; a null pointer is a column that is not recorded. */
struct rh_columns {
#define RH_COLUMN_MEMBER(type, name) type *name;
    RH_COLUMNS(RH_COLUMN_MEMBER)
#undef RH_COLUMN_MEMBER
};

/* What the trace knows of one id. */
enum rh_slot_state { RH_SLOT_ABSENT = 0, RH_SLOT_LIVE, RH_SLOT_FAILED, RH_SLOT_ZERO };

struct rh_slot {
    uint64_t address;
    uint64_t size; /* as requested */
    enum rh_slot_state state;
};

/* heap_4, heap_5: what the last free block, in an arena that never ends, had to give. */
struct rh_need {
    uint64_t last; /* where it starts now */
    uint64_t need; /* the lowest end marker that serves every event so far */
    int64_t event; /* the event that needs the last byte, or -1 */
};

/* What finds the place in the free list: all that is recorded is the same. */
enum rh_engine {
    RH_ENGINE_CHOSEN, /* the list, or an index while that is quicker */
    RH_ENGINE_LIST,
    RH_ENGINE_INDEX,
    RH_ENGINES
};
#define RH_ENGINE_NAMES                                                                            \
    { [RH_ENGINE_CHOSEN] = NULL, [RH_ENGINE_LIST] = "list", [RH_ENGINE_INDEX] = "index" }

struct rh_replay {
    const struct rh_ops *ops;
    void *state;
    enum rh_engine engine;

    const uint8_t *op; /* the trace: event, number of the id, size as requested */
    const int32_t *slot;
    const uint64_t *size;
    size_t events;

    struct rh_slot *slots; /* the caller's, all zero at first */
    size_t slot_count;
    struct rh_columns columns;
    bool stop_at_failure; /* stop after the first event that failed */
    bool track_need;

    size_t done; /* events completed */
    uint64_t failures;
    uint64_t zero_size;
    uint64_t skipped;
    uint64_t ignored_frees;
    uint64_t live_bytes;
    uint64_t most_nodes;
    int64_t most_nodes_event; /* -1: none read any */
    int64_t first_failure;    /* -1: none failed */
    size_t end;               /* where rh_replay_run() returns */
    int64_t steps_left; /* list entries read, and each 64 bytes copied or cleared, are steps */
    struct rh_need need;
    void *index;    /* of the list, or NULL */
    bool is_listed; /* no index can be had, or trusted */
    uint64_t read;  /* list entries, since it was last asked whether an index pays */
};

/* Sets the counters and what track_need begins with; the fields above them are the caller's. */
void rh_replay_begin(struct rh_replay *replay);
/* Gives back what a replay has in memory. */
void rh_replay_end(struct rh_replay *replay);

enum rh_replay_result {
    RH_REPLAY_OK = 0,
    /* The heap's last fault says more. The heap is as it was before event `done`; if it was the
     * statistics of a column that met the fault, as it was after it. */
    RH_REPLAY_CORRUPT,
    RH_REPLAY_NO_EVENT, /* event `done` has no known operation, or a slot outside the table */
    RH_REPLAY_NO_INDEX  /* RH_ENGINE_INDEX, and no memory for it, or a heap that is too large */
};

/* Runs the events up to `end`, or to the end of the trace, but for what is left once they have
 * taken so many steps. The arrays may change meanwhile: each entry is loaded once. */
enum rh_replay_result rh_replay_run(struct rh_replay *replay, size_t end, int64_t steps);

#endif
