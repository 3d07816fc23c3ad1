#include "best_fit.h"

#include <stdlib.h>
#include <string.h>

/* So many bytes of copies there may be for each event: those of parts that wait, together. */
#define BYTES_AN_EVENT 256

/* --- events -------------------------------------------------------------------------------------
 */

/* Stamps go up along an event's malloc and free. */
static uint32_t stamp_of(size_t event, bool frees) {
    return 2 * (uint32_t)event + 1 + frees;
}

static bool list_block(struct rh_best_fit *s, uint32_t block, bool frees) {
    s->state.list.blocks[block].stamp = stamp_of(s->event, frees);
    return rh_by_size_push(&s->state.list, block);
}

/* [ tail ]  =>  [ wanted ][ tail ], or all of it */
static bool take_tail(struct rh_best_fit *s, uint64_t wanted, bool splits) {
    uint32_t block = RH_BEST_FIT_TAIL;
    if (splits) {
        block = rh_by_size_new(&s->state.list, wanted);
        s->state.cut += wanted;
        s->state.tail_stamp = stamp_of(s->event, false);
    } else {
        s->state.tail_free = false;
    }
    s->events[s->event].block = block;
    return block != RH_NO_BLOCK;
}

static bool take(struct rh_best_fit *s, uint32_t block, uint64_t wanted) {
    struct rh_by_size *list = &s->state.list;
    const uint64_t found = list->blocks[block].size;
    rh_by_size_pop(list, found);
    s->events[s->event].block = block;
    if (found - wanted <= s->split_above) return true;
    const uint32_t rest = rh_by_size_new(list, found - wanted);
    if (rest == RH_NO_BLOCK) return false;
    list->blocks[block].size = wanted;
    return list_block(s, rest, false);
}

static bool give_back(struct rh_best_fit *s, uint32_t block) {
    if (block != RH_BEST_FIT_TAIL) return list_block(s, block, true);
    s->state.tail_free = true;
    s->state.tail_stamp = stamp_of(s->event, true);
    return true;
}

/* --- ranges of sizes ----------------------------------------------------------------------------
 */

static struct rh_best_fit_copy *copy_of(const struct rh_best_fit *s) {
    struct rh_best_fit_copy *copy = malloc(sizeof *copy);
    if (copy == NULL) return NULL;
    copy->state = s->state;
    copy->event = s->event;
    copy->parts = 0;
    if (rh_by_size_copy(&copy->state.list, &s->state.list)) return copy;
    rh_by_size_end(&copy->state.list);
    free(copy);
    return NULL;
}

static void release_copy(struct rh_best_fit_copy *copy) {
    if (--copy->parts != 0) return;
    rh_by_size_end(&copy->state.list);
    free(copy);
}

/* From where parts that are cut off here can begin: as it is now; or, if that is not far, as it was
 * when others were cut off, since up to here all goes the same way again. */
static struct rh_best_fit_copy *copy_near(const struct rh_best_fit *s) {
    if (s->part_count == 0) return copy_of(s);
    struct rh_best_fit_copy *last = s->parts[s->part_count - 1].copy;
    const bool is_near =
        (s->event - last->event) * BYTES_AN_EVENT < rh_by_size_bytes(&s->state.list);
    return is_near ? last : copy_of(s);
}

/* The sizes from `first` to `last` wait for their turn. */
static bool put_off(struct rh_best_fit *s, uint64_t first, uint64_t last) {
    void *grown = rh_grown(s->parts, s->part_count, &s->part_room, sizeof *s->parts);
    if (grown == NULL) return false;
    s->parts = grown;
    if (s->copy == NULL) s->copy = copy_near(s);
    if (s->copy == NULL) return false;
    s->copy->parts++;
    const struct rh_best_fit_part part = {first, last, s->copy};
    s->parts[s->part_count++] = part;
    return true;
}

/* Cuts the range before `size`, if it lies in it: one part goes on. */
static bool cut_range(struct rh_best_fit *s, uint64_t size) {
    if (size <= s->first || size > s->last) return true;
    const bool larger = s->only != 0 ? s->only >= size : s->descends;
    if (s->only == 0 && !(larger ? put_off(s, s->first, size - 1) : put_off(s, size, s->last)))
        return false;
    if (larger)
        s->first = size;
    else
        s->last = size - 1;
    return true;
}

enum served { SERVED, FAILED, NO_MEMORY };

static enum served serve(struct rh_best_fit *s, uint64_t wanted) {
    const struct rh_best_fit_state *state = &s->state;
    const uint32_t fit = rh_by_size_find(&state->list, wanted);
    if (state->tail_free) {
        /* Sizes in which the tail is large enough, in which it is split, and from which on the
         * other block is the better fit, or as good a one that was given back later. */
        uint64_t cuts[3] = {state->cut + wanted, state->cut + wanted + s->split_above + 1,
                            UINT64_MAX};
        if (fit != RH_NO_BLOCK) {
            const struct rh_by_size_block *other = &state->list.blocks[fit];
            cuts[2] = state->cut + other->size + (other->stamp < state->tail_stamp);
            if (cuts[1] > cuts[2]) cuts[1] = cuts[2];
        }
        if (cuts[0] < cuts[2]) {
            for (int i = 0; i < 3; i++)
                if (!cut_range(s, cuts[s->descends ? i : 2 - i])) return NO_MEMORY;
            if (s->first >= cuts[0] && s->first < cuts[2])
                return take_tail(s, wanted, s->first >= cuts[1]) ? SERVED : NO_MEMORY;
        }
    }
    if (fit == RH_NO_BLOCK) return FAILED;
    return take(s, fit, wanted) ? SERVED : NO_MEMORY;
}

static void next_part(struct rh_best_fit *s) {
    const struct rh_best_fit_part part = s->parts[--s->part_count];
    const struct rh_best_fit_state before = s->state;
    s->state = part.copy->state;
    s->state.list = before.list;
    rh_by_size_restore(&s->state.list, &part.copy->state.list);
    s->event = part.copy->event;
    s->first = part.first;
    s->last = part.last;
    release_copy(part.copy);
}

static void drop_parts(struct rh_best_fit *s) {
    while (s->part_count > 0)
        release_copy(s->parts[--s->part_count].copy);
}

/* Begins anew with the sizes that are left, the largest first: what each event was given is that of
 * the part that ran last, and those that wait know it in the order in which they were put off. */
static void turn(struct rh_best_fit *s) {
    const struct rh_best_fit_state new_arena = {.list = s->state.list, .tail_free = true};
    s->first = s->last + 1;
    s->last = s->parts[0].last; /* the first one that was put off */
    drop_parts(s);
    s->state = new_arena;
    rh_by_size_clear(&s->state.list);
    s->event = 0;
    s->descends = true;
}

static enum served run_event(struct rh_best_fit *s) {
    const struct rh_best_fit_event event = s->events[s->event];
    if (event.wanted != 0) {
        const enum served served = serve(s, event.wanted);
        if (served != SERVED) return served;
    }
    if (event.ended != RH_NO_BLOCK && !give_back(s, s->events[event.ended].block)) return NO_MEMORY;
    return SERVED;
}

/* The range is through, or has failed. */
static enum rh_best_fit_result end_range(struct rh_best_fit *s, bool failed) {
    if (!rh_runs_add(&s->runs, s->first, s->last, failed ? (int64_t)s->event : -1))
        return RH_BEST_FIT_NO_MEMORY;
    if (s->part_count == 0 || (s->descends && failed)) return RH_BEST_FIT_DONE;
    if (s->ends_alone && !s->descends && !failed)
        turn(s);
    else
        next_part(s);
    return RH_BEST_FIT_MORE;
}

enum rh_best_fit_result rh_best_fit_run(struct rh_best_fit *s, uint64_t events) {
    enum rh_best_fit_result result = RH_BEST_FIT_MORE;
    for (const uint64_t end = s->done + events; result == RH_BEST_FIT_MORE && s->done < end;
         s->done++) {
        s->copy = NULL;
        const bool through = s->event == s->event_count;
        const enum served served = through ? SERVED : run_event(s);
        if (served == NO_MEMORY) return RH_BEST_FIT_NO_MEMORY;
        if (through || served == FAILED)
            result = end_range(s, served == FAILED);
        else
            s->event++;
    }
    return result;
}

/* --- beginning and end -------------------------------------------------------------------------
 */

/* Until the search runs, an event's `block` says whether it ends somewhere. */
static bool link(struct rh_best_fit_event *events, size_t i, int64_t of) {
    struct rh_best_fit_event *before = &events[of < 0 ? 0 : of];
    events[i].ended = RH_NO_BLOCK;
    if (of < 0) return true;
    if ((size_t)of >= i || before->wanted == 0 || before->block != 0) return false;
    events[i].ended = (uint32_t)of;
    before->block = 1;
    return true;
}

enum rh_best_fit_result rh_best_fit_take_events(struct rh_best_fit_event **taken,
                                                const uint64_t *wanted, const int32_t *ended,
                                                size_t count, uint64_t *largest) {
    struct rh_best_fit_event *events = NULL;
    if (count <= INT32_MAX) events = malloc((count + 1) * sizeof *events);
    *taken = events;
    if (events == NULL) return RH_BEST_FIT_NO_MEMORY;
    *largest = 0;
    for (size_t i = 0; i < count; i++) {
        events[i].wanted = *(const volatile uint64_t *)&wanted[i];
        events[i].block = 0;
        if (!link(events, i, *(const volatile int32_t *)&ended[i])) return RH_BEST_FIT_NO_EVENT;
        if (events[i].wanted > *largest) *largest = events[i].wanted;
    }
    return RH_BEST_FIT_MORE;
}

enum rh_best_fit_result rh_best_fit_begin(struct rh_best_fit *s, const uint64_t *wanted,
                                          const int32_t *ended, size_t events, uint64_t split_above,
                                          uint64_t first, uint64_t last) {
    const struct rh_best_fit begun = {.event_count = events,
                                      .split_above = split_above,
                                      .state = {.tail_free = true},
                                      .first = first,
                                      .last = last};
    uint64_t largest;
    *s = begun;
    const enum rh_best_fit_result result =
        rh_best_fit_take_events(&s->events, wanted, ended, events, &largest);
    if (result != RH_BEST_FIT_MORE) return result;
    return rh_by_size_begin(&s->state.list, largest) ? RH_BEST_FIT_MORE : RH_BEST_FIT_NO_MEMORY;
}

void rh_best_fit_end(struct rh_best_fit *s) {
    drop_parts(s);
    rh_by_size_end(&s->state.list);
    free(s->events);
    free(s->parts);
    free(s->runs.run);
}
