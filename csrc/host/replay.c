#include "replay.h"

#include <string.h>

/* What one event did. */
struct outcome {
    uint64_t address;
    uint64_t block_size;
    uint64_t nodes;
    enum rh_failure failure;
};

/* So many events are between two questions whether an index pays. It does where the list has more
 * than so many entries to read at an event; and no more where it has fewer in all. */
#define EVENTS_BETWEEN 256
#define MANY_ENTRIES 24
#define FEW_ENTRIES 16

void rh_replay_begin(struct rh_replay *replay) {
    replay->index = NULL;
    replay->is_listed = replay->engine == RH_ENGINE_LIST || replay->ops->index == NULL;
    replay->read = 0;
    replay->done = 0;
    replay->failures = replay->zero_size = replay->skipped = replay->ignored_frees = 0;
    replay->live_bytes = 0;
    replay->most_nodes = 0;
    replay->most_nodes_event = -1;
    replay->first_failure = -1;
    replay->need.last = 0;
    if (replay->ops->has_need) replay->need.last = replay->ops->last_region_start(replay->state);
    replay->need.need = 0;
    replay->need.event = -1;
}

/* Heap_2's may have given up. */
static bool has_index(const struct rh_replay *replay) {
    return replay->index != NULL && replay->ops->index->is_used(replay->state);
}

static void drop_index(struct rh_replay *replay) {
    if (replay->index != NULL) replay->ops->index->drop(replay->index);
    replay->index = NULL;
}

void rh_replay_end(struct rh_replay *replay) {
    drop_index(replay);
}

static void make_index(struct rh_replay *replay) {
    replay->index = replay->ops->index->make(replay->state);
    replay->is_listed = replay->index == NULL;
}

/* Which of the two is quicker? An index does not read all that the list does: where something is
 * overwritten, the list it is. */
static void choose(struct rh_replay *replay) {
    if (replay->index != NULL) {
        uint64_t largest, count = 0;
        replay->is_listed = !has_index(replay);
        if (!replay->is_listed) replay->ops->index->sums(replay->state, &largest, &count);
        if (count >= FEW_ENTRIES) return;
        replay->ops->index->use(replay->state, NULL);
        drop_index(replay);
    } else if (!replay->is_listed && replay->read > (uint64_t)EVENTS_BETWEEN * MANY_ENTRIES) {
        replay->is_listed = replay->ops->check(replay->state) != RH_OK;
        if (!replay->is_listed) make_index(replay);
        if (replay->index != NULL) replay->ops->index->use(replay->state, replay->index);
    }
    replay->read = 0;
}

/*
 * A block of `size` bytes cut from the last free block, at `last`, needs the marker to lie no
 * lower than last + size. If the last block does not start its region, it was once split off, so
 * that more than two headers must lie between `last` and the marker, too.
 */
static void note_need(struct rh_replay *replay, uint64_t payload, uint64_t size) {
    struct rh_need *need = &replay->need;
    const struct rh_ops *ops = replay->ops;
    const uint64_t start = need->last;
    need->last = ops->last_free(replay->state, start, payload, false);
    if (need->last == start) return;
    uint64_t end = start + size;
    if (start != ops->last_region_start(replay->state)) {
        const uint64_t least = start + ops->least_split(replay->state);
        if (end < least) end = least;
    }
    if (end > need->need) {
        need->need = end;
        need->event = (int64_t)replay->done;
    }
}

/* Is the size of a block wanted at this event? Only then is it looked up. */
static bool wants_block_size(const struct rh_replay *replay) {
    return replay->columns.block_size != NULL || replay->track_need;
}

/* What takes fewer steps is bounded by the number of events. */
#define FEW_STEPS 256

/* The event that takes the last step is the last one to run. */
static void take_steps(struct rh_replay *replay, uint64_t steps) {
    if (steps < FEW_STEPS) return;
    replay->steps_left -= (int64_t)steps;
    if (replay->steps_left <= 0) replay->end = 0;
}

/* Entries of the list that were read, or would have been without an index. */
static void take_entries(struct rh_replay *replay, uint64_t entries) {
    replay->read += entries;
    if (entries >= FEW_STEPS && replay->index == NULL) take_steps(replay, entries);
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* What the target's size_t cannot hold, no target can ask for: it fails as the largest does. */
static uint64_t askable(const struct rh_ops *ops, uint64_t size) {
    return least(size, ops->word_max);
}

static enum rh_failure failure_of(enum rh_status status) {
    switch (status) {
    case RH_EXHAUSTED: return RH_FAILURE_EXHAUSTION;
    case RH_FRAGMENTED: return RH_FAILURE_FRAGMENTATION;
    case RH_ASSERTION: return RH_FAILURE_ASSERTION;
    default: return RH_FAILURE_NONE;
    }
}

RH_INLINE enum rh_status allocate(struct rh_replay *replay, struct rh_slot *slot, uint64_t size,
                                  struct outcome *outcome) {
    const struct rh_ops *ops = replay->ops;
    uint64_t address;
    enum rh_status status = ops->malloc(replay->state, askable(ops, size), &address);
    outcome->nodes += ops->nodes(replay->state);
    switch (status) {
    case RH_OK:
        slot->state = RH_SLOT_LIVE;
        slot->address = outcome->address = address;
        slot->size = size;
        replay->live_bytes += size;
        if (wants_block_size(replay)) {
            outcome->block_size = ops->block(replay->state, address).size;
            if (replay->track_need) note_need(replay, address, outcome->block_size);
        }
        if (size == 0) replay->zero_size++;
        return RH_OK;
    case RH_EXHAUSTED:
    case RH_FRAGMENTED:
    case RH_ASSERTION:
        if (size == 0 && !ops->zero_size_is_live) {
            slot->state = RH_SLOT_ZERO;
            slot->size = 0;
            replay->zero_size++;
            return RH_OK;
        }
        if (slot->state != RH_SLOT_LIVE) slot->state = RH_SLOT_FAILED;
        outcome->failure = failure_of(status);
        return RH_OK;
    default: return status;
    }
}

RH_INLINE enum rh_status release(struct rh_replay *replay, uint64_t address, uint64_t size,
                                 uint64_t *block_size, struct outcome *outcome) {
    const struct rh_ops *ops = replay->ops;
    if (!ops->can_free) {
        replay->ignored_frees++;
        replay->live_bytes -= size;
        return RH_OK;
    }
    if (block_size != NULL && wants_block_size(replay))
        *block_size = ops->block(replay->state, address).size;
    enum rh_status status = ops->free(replay->state, address);
    if (status == RH_ASSERTION) outcome->failure = RH_FAILURE_ASSERTION; /* the block stays */
    if (status != RH_OK && status != RH_ASSERTION) return status;
    replay->live_bytes -= size;
    take_steps(replay, size / 64); /* for realloc to copy, for free to clear */
    outcome->nodes += ops->nodes(replay->state);
    if (replay->track_need)
        replay->need.last = ops->last_free(replay->state, replay->need.last, address, true);
    return RH_OK;
}

/* Would free() meet an overwritten header? It goes through the list up to a place, by address or by
 * size; one entry further than free() would, since an allocation that comes between may take the
 * one that ends its walk. */
struct place {
    uint64_t limit;
    bool by_size;
    bool beyond;
    uint64_t entries; /* that were read */
};

static bool up_to_place(void *context, uint64_t address, uint64_t size, bool allocated) {
    struct place *place = context;
    (void)allocated;
    place->entries++;
    if ((place->by_size ? size : address) < place->limit) return true;
    const bool further = !place->beyond;
    place->beyond = true;
    return further;
}

/* What free() would return, and nothing else. */
static enum rh_status free_would(struct rh_replay *replay, uint64_t address) {
    const struct rh_ops *ops = replay->ops;
    if (ops->meets != NULL) return ops->meets(replay->state, address);
    enum rh_status status = ops->live(replay->state, address);
    if (status == RH_OK) status = ops->verify(replay->state, address);
    if (status != RH_OK) return status;
    const struct rh_block block = ops->block(replay->state, address);
    if (has_index(replay)) return ops->index->meets(replay->state, address);
    struct place place = {.limit = ops->list_by_size ? block.size : block.address,
                          .by_size = ops->list_by_size};
    status = ops->walk_free(replay->state, up_to_place, &place);
    take_entries(replay, place.entries);
    return status;
}

/* The C library's own. */
static enum rh_status reallocate_by_call(struct rh_replay *replay, struct rh_slot *slot,
                                         uint64_t size, struct outcome *outcome) {
    const struct rh_ops *ops = replay->ops;
    const struct rh_slot old = *slot;
    uint64_t address;
    const enum rh_status status =
        ops->realloc(replay->state, old.address, askable(ops, size), &address);
    outcome->nodes += ops->nodes(replay->state);
    outcome->failure = failure_of(status);
    if (outcome->failure != RH_FAILURE_NONE) return RH_OK; /* the old block stays */
    if (status != RH_OK) return status;
    take_steps(replay, least(size, old.size) / 64);
    replay->live_bytes += size - old.size;
    slot->state = size == 0 ? RH_SLOT_ZERO : RH_SLOT_LIVE;
    slot->size = size;
    if (size == 0) replay->zero_size++;
    if (size == 0) return RH_OK;
    slot->address = outcome->address = address;
    if (wants_block_size(replay)) outcome->block_size = ops->block(replay->state, address).size;
    return RH_OK;
}

/* malloc, copy, free, as a program on FreeRTOS does it. The old block stays where malloc fails. */
RH_SHARED enum rh_status reallocate(struct rh_replay *replay, struct rh_slot *slot, uint64_t size,
                                    struct outcome *outcome) {
    const struct rh_ops *ops = replay->ops;
    const struct rh_slot old = *slot;
    /* malloc changes only headers that it has found intact, so that a free that would succeed now
     * will succeed then: an event that meets an overwritten header changes nothing. */
    enum rh_status status = ops->can_free ? free_would(replay, old.address) : RH_OK;
    if (status == RH_OK && ops->has_calls) return reallocate_by_call(replay, slot, size, outcome);
    if (status == RH_OK) status = allocate(replay, slot, size, outcome);
    if (status != RH_OK || outcome->failure != RH_FAILURE_NONE) return status;
    if (slot->state == RH_SLOT_LIVE) {
        uint64_t kept = least(size, old.size);
        if (kept != 0)
            kept = least(kept, least(rh_usable(ops, replay->state, old.address),
                                     rh_usable(ops, replay->state, slot->address)));
        if (kept != 0)
            memmove(ops->pointer(replay->state, slot->address),
                    ops->pointer(replay->state, old.address), (size_t)kept);
    }
    return release(replay, old.address, old.size, NULL, outcome);
}

RH_INLINE enum rh_status run_event(struct rh_replay *replay, uint8_t op, struct rh_slot *slot,
                                   uint64_t size, struct outcome *outcome) {
    enum rh_status status;
    switch (op) {
    case RH_EVENT_MALLOC: return allocate(replay, slot, size, outcome);
    case RH_EVENT_REALLOC:
        if (slot->state == RH_SLOT_LIVE) return reallocate(replay, slot, size, outcome);
        if (slot->state == RH_SLOT_ZERO) return allocate(replay, slot, size, outcome);
        replay->skipped++;
        return RH_OK;
    default:
        if (slot->state == RH_SLOT_LIVE) {
            status = release(replay, slot->address, slot->size, &outcome->block_size, outcome);
            if (status != RH_OK) return status;
            outcome->address = slot->address;
        } else if (slot->state == RH_SLOT_FAILED) {
            replay->skipped++;
        }
        slot->state = RH_SLOT_ABSENT;
        return RH_OK;
    }
}

RH_SHARED enum rh_status record(struct rh_replay *replay, size_t event,
                                const struct outcome *outcome) {
    const struct rh_columns *c = &replay->columns;
    if (c->address != NULL) c->address[event] = outcome->address;
    if (c->block_size != NULL) c->block_size[event] = outcome->block_size;
    if (c->free_size != NULL) c->free_size[event] = replay->ops->free_size(replay->state);
    if (c->live_bytes != NULL) c->live_bytes[event] = replay->live_bytes;
    if (c->nodes != NULL)
        c->nodes[event] = outcome->nodes < UINT32_MAX ? (uint32_t)outcome->nodes : UINT32_MAX;
    if (c->failed != NULL) c->failed[event] = outcome->failure != RH_FAILURE_NONE;
    if (c->failure != NULL) c->failure[event] = (uint8_t)outcome->failure;
    if (c->largest_free_block != NULL || c->free_block_count != NULL) {
        uint64_t largest, count;
        if (has_index(replay)) {
            replay->ops->index->sums(replay->state, &largest, &count);
        } else {
            struct rh_stats64 stats;
            enum rh_status status = replay->ops->stats(replay->state, &stats);
            if (status == RH_CORRUPT) return status;
            largest = stats.values[1];
            count = stats.values[3];
            take_entries(replay, count);
        }
        if (c->largest_free_block != NULL) c->largest_free_block[event] = largest;
        if (c->free_block_count != NULL) c->free_block_count[event] = (uint32_t)count;
    }
    return RH_OK;
}

static bool records(const struct rh_columns *c) {
#define IS_RECORDED(type, name) || c->name != NULL
    return false RH_COLUMNS(IS_RECORDED);
#undef IS_RECORDED
}

static bool is_event(uint8_t op) {
    return op == RH_EVENT_MALLOC || op == RH_EVENT_REALLOC || op == RH_EVENT_FREE;
}

/* Up to the event `end` of the replay. */
static enum rh_replay_result run_events(struct rh_replay *replay, bool recording) {
    while (replay->done < replay->end) {
        const size_t event = replay->done;
        /* Once: what is tested here is what is used. */
        const uint8_t op = *(const volatile uint8_t *)&replay->op[event];
        const int32_t slot = *(const volatile int32_t *)&replay->slot[event];
        if (slot < 0 || (size_t)slot >= replay->slot_count || !is_event(op))
            return RH_REPLAY_NO_EVENT;
        struct outcome outcome = {0, 0, 0, RH_FAILURE_NONE};
        if (run_event(replay, op, &replay->slots[slot], replay->size[event], &outcome) != RH_OK)
            return RH_REPLAY_CORRUPT;
        take_entries(replay, outcome.nodes);
        if (outcome.nodes > replay->most_nodes) {
            replay->most_nodes = outcome.nodes;
            replay->most_nodes_event = (int64_t)event;
        }
        const bool failed = outcome.failure != RH_FAILURE_NONE;
        if (failed && replay->failures++ == 0) replay->first_failure = (int64_t)event;
        if (recording && record(replay, event, &outcome) != RH_OK) return RH_REPLAY_CORRUPT;
        replay->done++;
        if (failed && replay->stop_at_failure) {
            replay->steps_left = 0;
            break;
        }
    }
    return RH_REPLAY_OK;
}

enum rh_replay_result rh_replay_run(struct rh_replay *replay, size_t end, int64_t steps) {
    const struct rh_list_index *index = replay->ops->index;
    const bool recording = records(&replay->columns);
    const bool chooses = replay->engine == RH_ENGINE_CHOSEN;
    enum rh_replay_result result = RH_REPLAY_OK;
    if (end > replay->events) end = replay->events;
    replay->steps_left = steps;
    if (replay->engine == RH_ENGINE_INDEX && !replay->is_listed && replay->index == NULL) {
        make_index(replay);
        if (replay->index == NULL) return RH_REPLAY_NO_INDEX;
    }
    if (replay->index != NULL) index->use(replay->state, replay->index);
    while (result == RH_REPLAY_OK && replay->done < end && replay->steps_left > 0) {
        replay->end = end;
        if (chooses && !replay->is_listed) {
            choose(replay);
            if (end - replay->done > EVENTS_BETWEEN) replay->end = replay->done + EVENTS_BETWEEN;
        }
        result = run_events(replay, recording);
    }
    if (replay->index != NULL) index->use(replay->state, NULL);
    return result;
}
