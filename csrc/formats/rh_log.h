/*
 * The events of a log that names blocks by their addresses. Every block gets an id of its own.
 *
 * Knows no Python. What returns a bool returns false when there is no memory.
 */
#ifndef RTOSHEAP_LOG_H
#define RTOSHEAP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rh_alike.h"
#include "rh_lex.h"
#include "rh_live.h"

/* What is counted of what a trace cannot hold. */
#define RH_LOSSES(X)                                                                               \
    X(failed)                                                                                      \
    X(free_null_lines)                                                                             \
    X(foreign_frees)                                                                               \
    X(foreign_reallocs)                                                                            \
    X(implied_frees)                                                                               \
    X(other_processes)                                                                             \
    X(lost_events)                                                                                 \
    X(damaged_bytes)                                                                               \
    X(rounded_sizes)                                                                               \
    X(split_reallocs)                                                                              \
    X(ambiguous_frees)

enum rh_loss {
#define RH_LOSS(name) RH_LOSS_##name,
    RH_LOSSES(RH_LOSS)
#undef RH_LOSS
        RH_LOSS_KINDS
};

/* The columns, and the type of an item. */
#define RH_COLUMNS(X)                                                                              \
    X(op, uint8_t)                                                                                 \
    X(id, int64_t)                                                                                 \
    X(size, uint64_t)                                                                              \
    X(address, uint64_t)                                                                           \
    X(line, int64_t)                                                                               \
    X(time, int64_t)                                                                               \
    X(task, int32_t)

enum rh_column {
#define RH_COLUMN(name, type) RH_COLUMN_##name,
    RH_COLUMNS(RH_COLUMN)
#undef RH_COLUMN
        RH_COLUMN_KINDS
};

extern const size_t rh_column_item[RH_COLUMN_KINDS];

struct rh_log {
    void *column[RH_COLUMN_KINDS]; /* of a log without times or tasks, NULL */
    size_t count;                  /* events */
    size_t room;                   /* of each column */
    bool timed, tasked;
    long long now; /* what the next event's time and task are */
    int who;
    struct rh_live live;
    struct rh_live tasks;  /* the code of a task, by its number and 1 more */
    struct rh_alike alike; /* blocks without addresses */
    int64_t blocks;        /* ids that were given */
    uint64_t losses[RH_LOSS_KINDS];
    unsigned long long largest_failed;
    unsigned long long highest; /* address that was seen elsewhere than in an event */
    int digits;                 /* of the longest address that was seen */
    bool freed; /* whether the last event is a free: of a log that splits reallocs */
};

/* An allocation; an address of 0 says that it failed. */
bool rh_log_malloc(struct rh_log *log, uint64_t address, uint64_t size, int64_t line);

/* A free of any address, 0 and unknown ones included. */
bool rh_log_free(struct rh_log *log, uint64_t address, int64_t line);

/* A realloc of any address, of which `address` is the result. */
bool rh_log_realloc(struct rh_log *log, uint64_t old, uint64_t address, uint64_t size,
                    int64_t line);

/* The same of blocks without addresses, of a kind that `alike` has. */
bool rh_log_malloc_of(struct rh_log *log, size_t kind, int64_t line);
bool rh_log_free_of(struct rh_log *log, size_t kind, int64_t line);

/* A request that failed. */
void rh_log_fail(struct rh_log *log, uint64_t size);

/* Notes how many digits a whole address has. */
static inline void rh_log_saw(struct rh_log *log, ptrdiff_t digits) {
    if (digits > log->digits) log->digits = (int)digits;
}

void rh_log_drop(struct rh_log *log);

#endif
