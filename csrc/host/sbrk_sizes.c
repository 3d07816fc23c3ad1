#include "sbrk_sizes.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_AT_ONCE 1000000

/* So many bytes of copies there may be for each event: those of parts that wait, together. */
#define BYTES_AN_EVENT 256

static uint64_t refused(const struct rh_sbrk_sizes *s) {
    struct rh_numbers numbers;
    s->replay->ops->numbers(s->replay->state, &numbers);
    return numbers.refused;
}

/* The heap as it is now, in an arena of the range's smallest size: an index of another is void. */
static void set_arena(struct rh_sbrk_sizes *s) {
    rh_replay_end(s->replay);
    s->replay->ops->limit(s->replay->state, s->first, true);
}

/* The event that failed, and changed nothing, did not take place. */
static void forget_event(struct rh_replay *replay) {
    replay->done--;
    replay->failures = 0;
    replay->first_failure = -1;
    const int32_t at = *(const volatile int32_t *)&replay->slot[replay->done];
    if (at < 0 || (size_t)at >= replay->slot_count) return; /* the replay finds that out */
    struct rh_slot *slot = &replay->slots[at];
    if (slot->state == RH_SLOT_FAILED)
        slot->state = replay->op[replay->done] == RH_EVENT_MALLOC ? RH_SLOT_ABSENT : RH_SLOT_ZERO;
}

static struct rh_sbrk_part *last_part(const struct rh_sbrk_sizes *s) {
    return s->part_count != 0 ? &s->parts[s->part_count - 1] : NULL;
}

static unsigned char *copy_of(const struct rh_sbrk_sizes *s, size_t bytes) {
    unsigned char *const copy = malloc(bytes), *to = copy;
    if (copy == NULL) return NULL;
    for (int i = 0; i < RH_SBRK_MEMORIES; to += s->memory[i++].bytes)
        memcpy(to, s->memory[i].at, s->memory[i].bytes);
    return copy;
}

/* Sizes from `size` on wait for their turn, as the heap is now; or, where it is not far, as it was
 * when others were put off, since up to here all goes the same way again. */
static bool put_off(struct rh_sbrk_sizes *s, uint64_t size) {
    const size_t event = s->replay->done;
    size_t bytes = 0;
    for (int i = 0; i < RH_SBRK_MEMORIES; i++)
        bytes += s->memory[i].bytes;
    void *grown = rh_grown(s->parts, s->part_count, &s->part_room, sizeof *s->parts);
    if (grown == NULL) return false;
    s->parts = grown;
    const struct rh_sbrk_part *last = last_part(s);
    struct rh_sbrk_part part = {s->last, event, NULL};
    if (last != NULL && (event - last->event) * BYTES_AN_EVENT < bytes) {
        part.event = last->event;
        part.copy = last->copy;
    } else {
        part.copy = copy_of(s, bytes);
        if (part.copy == NULL) return false;
    }
    s->parts[s->part_count++] = part;
    s->last = size - 1;
    return true;
}

/* The copy of a part that waits no more; another that has it, too, is the last one now. */
static void release_copy(struct rh_sbrk_sizes *s, unsigned char *copy) {
    const struct rh_sbrk_part *last = last_part(s);
    if (last == NULL || last->copy != copy) free(copy);
}

static void next_part(struct rh_sbrk_sizes *s) {
    const struct rh_sbrk_part part = s->parts[--s->part_count];
    const unsigned char *copy = part.copy;
    for (int i = 0; i < RH_SBRK_MEMORIES; copy += s->memory[i++].bytes)
        memcpy(s->memory[i].at, copy, s->memory[i].bytes);
    release_copy(s, part.copy);
    s->replay->done = part.event;
    s->replay->failures = 0;
    s->replay->first_failure = -1;
    s->first = s->last + 1;
    s->last = part.last;
    set_arena(s);
}

/* An event would extend a chunk: the sizes that need not do so wait, the others do it. */
static enum rh_sbrk_result extend(struct rh_sbrk_sizes *s, enum rh_replay_result *broken) {
    const uint64_t larger = refused(s);
    forget_event(s->replay);
    if (larger <= s->last && !put_off(s, larger)) return RH_SBRK_NO_MEMORY;
    const struct rh_ops *ops = s->replay->ops;
    ops->limit(s->replay->state, s->first, false);
    *broken = rh_replay_run(s->replay, s->replay->done + 1, STEPS_AT_ONCE);
    if (*broken != RH_REPLAY_OK) return RH_SBRK_BROKEN;
    ops->limit(s->replay->state, s->first, true);
    return RH_SBRK_MORE;
}

/* The range is through, or has failed. */
static enum rh_sbrk_result end_range(struct rh_sbrk_sizes *s) {
    struct rh_replay *replay = s->replay;
    const uint64_t larger = replay->failures != 0 ? refused(s) : 0;
    if (larger != 0 && larger <= s->last) {
        if (!rh_runs_add(&s->runs, s->first, larger - 1, replay->first_failure))
            return RH_SBRK_NO_MEMORY;
        s->first = larger;
        forget_event(replay);
        set_arena(s);
        return RH_SBRK_MORE;
    }
    if (!rh_runs_add(&s->runs, s->first, s->last, replay->first_failure)) return RH_SBRK_NO_MEMORY;
    if (s->part_count == 0) return RH_SBRK_DONE;
    next_part(s);
    return RH_SBRK_MORE;
}

void rh_sbrk_begin(struct rh_sbrk_sizes *s, uint64_t first, uint64_t last) {
    s->first = first;
    s->last = last;
    set_arena(s);
}

enum rh_sbrk_result rh_sbrk_run(struct rh_sbrk_sizes *s, size_t events,
                                enum rh_replay_result *broken) {
    struct rh_replay *replay = s->replay;
    const uint64_t start = s->done;
    enum rh_sbrk_result result = RH_SBRK_MORE;
    while (result == RH_SBRK_MORE && s->done - start < events) {
        const size_t before = replay->done;
        *broken = RH_REPLAY_OK;
        if (replay->failures == 0) /* else the extension's own event failed */
            *broken = rh_replay_run(replay, before + events, STEPS_AT_ONCE);
        if (*broken != RH_REPLAY_OK) return RH_SBRK_BROKEN;
        s->done += replay->done - before + 1;
        if (replay->failures != 0 && replay->ops->held(replay->state))
            result = extend(s, broken);
        else if (replay->failures != 0 || replay->done == replay->events)
            result = end_range(s);
        else
            return RH_SBRK_MORE; /* its steps are used up */
    }
    return result;
}

void rh_sbrk_end(struct rh_sbrk_sizes *s) {
    rh_replay_end(s->replay);
    while (s->part_count > 0) {
        s->part_count--;
        release_copy(s, s->parts[s->part_count].copy);
    }
    free(s->parts);
    free(s->runs.run);
}
