#include "rh_log.h"

#include <stdlib.h>

const size_t rh_column_item[RH_COLUMN_KINDS] = {
#define ITEM(name, type) sizeof(type),
    RH_COLUMNS(ITEM)
#undef ITEM
};

static bool grow(struct rh_log *log) {
    const size_t room = log->room != 0 ? 2 * log->room : 1024;
    for (int i = 0; i < RH_COLUMN_KINDS; i++) {
        if ((i == RH_COLUMN_time && !log->timed) || (i == RH_COLUMN_task && !log->tasked)) continue;
        void *wider = realloc(log->column[i], room * rh_column_item[i]);
        if (wider == NULL) return false;
        log->column[i] = wider;
    }
    log->room = room;
    return true;
}

static bool add(struct rh_log *log, uint8_t op, int64_t id, uint64_t size, uint64_t address,
                int64_t line) {
    if (log->count == log->room && !grow(log)) return false;
    const size_t i = log->count++;
    ((uint8_t *)log->column[RH_COLUMN_op])[i] = op;
    ((int64_t *)log->column[RH_COLUMN_id])[i] = id;
    ((uint64_t *)log->column[RH_COLUMN_size])[i] = size;
    ((uint64_t *)log->column[RH_COLUMN_address])[i] = address;
    ((int64_t *)log->column[RH_COLUMN_line])[i] = line;
    if (log->timed) ((int64_t *)log->column[RH_COLUMN_time])[i] = log->now;
    if (log->tasked) ((int32_t *)log->column[RH_COLUMN_task])[i] = log->who;
    return true;
}

void rh_log_fail(struct rh_log *log, uint64_t size) {
    log->losses[RH_LOSS_failed]++;
    if (size > log->largest_failed) log->largest_failed = size;
}

/* Puts a block where none can be: one that the log has there was freed without its saying so. */
static bool put(struct rh_log *log, uint64_t address, int64_t id, int64_t line) {
    const int64_t before = rh_live_put(&log->live, address, id);
    if (before == RH_LIVE_FAILED) return false;
    if (before == RH_LIVE_NONE) return true;
    log->losses[RH_LOSS_implied_frees]++;
    return add(log, 'f', before, 0, address, line);
}

bool rh_log_malloc(struct rh_log *log, uint64_t address, uint64_t size, int64_t line) {
    if (address == 0) {
        rh_log_fail(log, size);
        return true;
    }
    const int64_t id = log->blocks++;
    return put(log, address, id, line) && add(log, 'm', id, size, address, line);
}

bool rh_log_free(struct rh_log *log, uint64_t address, int64_t line) {
    if (address == 0) {
        log->losses[RH_LOSS_free_null_lines]++;
        return true;
    }
    const int64_t id = rh_live_take(&log->live, address);
    if (id != RH_LIVE_NONE) return add(log, 'f', id, 0, address, line);
    log->losses[RH_LOSS_foreign_frees]++;
    return true;
}

bool rh_log_realloc(struct rh_log *log, uint64_t old, uint64_t address, uint64_t size,
                    int64_t line) {
    if (old == 0) return rh_log_malloc(log, address, size, line);
    if (address == 0 && size == 0) return rh_log_free(log, old, line);
    if (address == 0) {
        rh_log_fail(log, size);
        return true;
    }
    const int64_t id = rh_live_take(&log->live, old);
    if (id == RH_LIVE_NONE) {
        log->losses[RH_LOSS_foreign_reallocs]++;
        return rh_log_malloc(log, address, size, line);
    }
    return put(log, address, id, line) && add(log, 'r', id, size, address, line);
}

bool rh_log_malloc_of(struct rh_log *log, size_t kind, int64_t line) {
    const int64_t id = log->blocks++;
    return rh_alike_put(&log->alike, kind, id) &&
           add(log, 'm', id, log->alike.kinds[kind].size, 0, line);
}

bool rh_log_free_of(struct rh_log *log, size_t kind, int64_t line) {
    bool ambiguous = false;
    const int64_t id = rh_alike_take(&log->alike, kind, &ambiguous);
    log->losses[RH_LOSS_ambiguous_frees] += ambiguous;
    if (id != RH_ALIKE_NONE) return add(log, 'f', id, 0, 0, line);
    log->losses[RH_LOSS_foreign_frees]++;
    return true;
}

void rh_log_drop(struct rh_log *log) {
    rh_live_clear(&log->live);
    rh_live_clear(&log->tasks);
    rh_alike_drop(&log->alike);
    for (int i = 0; i < RH_COLUMN_KINDS; i++)
        free(log->column[i]);
    *log = (struct rh_log){0};
}
