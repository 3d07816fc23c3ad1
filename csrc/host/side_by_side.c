#include "side_by_side.h"

#include <stdlib.h>
#include <string.h>

/* --- what a part has otherwise ------------------------------------------------------------------
 */

/* Of 64, ascending with the sizes: small ones have one each, and others share one of 8 up to twice
 * their size. */
static unsigned class_of(uint64_t size) {
    unsigned shift = 0;
#if defined(__GNUC__)
    if (size >= 16) shift = 60 - (unsigned)__builtin_clzll(size);
#else
    while (size >> shift >= 16)
        shift++;
#endif
    const uint64_t of = 8 * shift + (size >> shift);
    return of < 63 ? (unsigned)of : 63;
}

static uint64_t classes(uint64_t first, uint64_t last) {
    return (UINT64_MAX << class_of(first)) & (UINT64_MAX >> (63 - class_of(last)));
}

static void look_what_meets(struct rh_beside *s, size_t at) {
    const struct rh_beside_part *part = &s->parts[at];
    struct rh_beside_meets meets = {0, 0};
    if (part->tail_free) meets.more = classes(part->first - part->cut, part->last - part->cut);
    for (size_t i = 0; i < part->free_count; i++) {
        const uint64_t class = UINT64_C(1) << class_of(part->free[i].size);
        if (part->free[i].more > 0)
            meets.more |= class;
        else
            meets.fewer |= class;
    }
    s->meets[at] = meets;
}

/* False: no memory, here and in all that follows. */
static bool add_free(struct rh_beside_part *part, uint64_t size, int64_t more) {
    size_t i = 0;
    while (i < part->free_count && part->free[i].size != size)
        i++;
    if (i < part->free_count) {
        part->free[i].more += more;
        if (part->free[i].more == 0) part->free[i] = part->free[--part->free_count];
        return true;
    }
    void *grown = rh_grown(part->free, part->free_count, &part->free_room, sizeof *part->free);
    if (grown == NULL) return false;
    part->free = grown;
    const struct rh_beside_free otherwise = {size, more};
    part->free[part->free_count++] = otherwise;
    return true;
}

static bool add_live(struct rh_beside_part *part, uint32_t event, uint64_t size) {
    void *grown = rh_grown(part->live, part->live_count, &part->live_room, sizeof *part->live);
    if (grown == NULL) return false;
    part->live = grown;
    const struct rh_beside_live otherwise = {event, size};
    part->live[part->live_count++] = otherwise;
    return true;
}

static struct rh_beside_live *find_live(const struct rh_beside_part *part, uint32_t event) {
    for (size_t i = 0; i < part->live_count; i++)
        if (part->live[i].event == event) return &part->live[i];
    return NULL;
}

static void drop_live(struct rh_beside_part *part, struct rh_beside_live *live) {
    *live = part->live[--part->live_count];
}

static uint64_t size_in_first(const struct rh_beside *s, uint32_t event) {
    const uint32_t block = s->events[event].block;
    return block == RH_BEST_FIT_TAIL ? 0 : s->list.blocks[block].size;
}

/* --- parts --------------------------------------------------------------------------------------
 */

static void release(struct rh_beside_part *part) {
    free(part->free);
    free(part->live);
}

static bool add_part(struct rh_beside *s, uint64_t first, uint64_t last) {
    void *parts = rh_grown(s->parts, s->part_count, &s->part_room, sizeof *s->parts);
    if (parts != NULL) s->parts = parts;
    void *meets = rh_grown(s->meets, s->part_count, &s->meets_room, sizeof *s->meets);
    if (meets != NULL) s->meets = meets;
    if (parts == NULL || meets == NULL) return false;
    const struct rh_beside_part part = {.first = first, .last = last, .tail_free = true};
    s->parts[s->part_count++] = part;
    return true;
}

/* A part loses its sizes from `first` to `last`: they become one of their own. */
static bool cut_off(struct rh_beside *s, size_t at, uint64_t first, uint64_t last) {
    if (!add_part(s, first, last)) return false;
    struct rh_beside_part *from = &s->parts[at], *to = &s->parts[s->part_count - 1];
    if (from->last == last)
        from->last = first - 1;
    else
        from->first = last + 1;
    to->cut = from->cut;
    to->tail_free = from->tail_free;
    bool done = true;
    for (size_t i = 0; done && i < from->free_count; i++)
        done = add_free(to, from->free[i].size, from->free[i].more);
    for (size_t i = 0; done && i < from->live_count; i++)
        done = add_live(to, from->live[i].event, from->live[i].size);
    look_what_meets(s, s->part_count - 1);
    return done;
}

/* What a part was given otherwise than the first one is to be what it was given otherwise than
 * `other`, which is given `size`. */
static bool relate_live(struct rh_beside_part *part, const struct rh_beside_live *other,
                        uint64_t size) {
    struct rh_beside_live *own = find_live(part, other->event);
    if (own == NULL) return add_live(part, other->event, size);
    if (own->size == other->size) drop_live(part, own);
    return true;
}

static uint64_t distance(const struct rh_beside *s, size_t at) {
    const uint64_t first = s->parts[at].first;
    return first > s->leading ? first - s->leading : s->leading - first;
}

/* Of the parts but the first. */
static void put_nearest_last(struct rh_beside *s) {
    const size_t last = s->part_count - 1;
    size_t nearest = last;
    for (size_t at = 1; at < last; at++)
        if (distance(s, at) < distance(s, nearest)) nearest = at;
    const struct rh_beside_part part = s->parts[nearest];
    s->parts[nearest] = s->parts[last];
    s->parts[last] = part;
}

/* The list is to be the last part's. */
static bool change_list(struct rh_beside *s) {
    const struct rh_beside_part *last = &s->parts[s->part_count - 1];
    for (size_t i = 0; i < last->free_count; i++) {
        const struct rh_beside_free *of = &last->free[i];
        for (int64_t n = of->more; n < 0; n++)
            rh_by_size_pop(&s->list, of->size);
        for (int64_t n = of->more; n > 0; n--) {
            const uint32_t block = rh_by_size_new(&s->list, of->size);
            if (block == RH_NO_BLOCK || !rh_by_size_push(&s->list, block)) return false;
        }
    }
    for (size_t i = 0; i < last->live_count; i++) {
        const struct rh_beside_live *of = &last->live[i];
        const uint32_t block =
            of->size == 0 ? RH_BEST_FIT_TAIL : rh_by_size_new(&s->list, of->size);
        if (block == RH_NO_BLOCK) return false;
        s->events[of->event].block = block;
    }
    return true;
}

/* The first part has ended: the one whose sizes lie nearest takes its place. */
static bool replace_first(struct rh_beside *s) {
    put_nearest_last(s);
    struct rh_beside_part *last = &s->parts[s->part_count - 1];
    for (size_t at = 1; at + 1 < s->part_count; at++) {
        struct rh_beside_part *part = &s->parts[at];
        for (size_t i = 0; i < last->free_count; i++)
            if (!add_free(part, last->free[i].size, -last->free[i].more)) return false;
        for (size_t i = 0; i < last->live_count; i++) {
            const uint64_t size = size_in_first(s, last->live[i].event);
            if (!relate_live(part, &last->live[i], size)) return false;
        }
        look_what_meets(s, at);
    }
    if (!change_list(s)) return false;
    last->free_count = last->live_count = 0;
    release(&s->parts[0]);
    s->parts[0] = *last;
    s->part_count--;
    return true;
}

/* --- events -------------------------------------------------------------------------------------
 */

enum served { SERVED, FAILED, NO_MEMORY };

/* How a part serves a request: from its tail, or with a free block of the size `found`. */
struct choice {
    bool tail, splits;
    uint64_t found, wanted;
};

static uint64_t given(const struct choice *choice) {
    if (choice->splits) return choice->wanted;
    return choice->tail ? 0 : choice->found;
}

/* The smallest free block that is large enough, but for the tail; or RH_NO_SIZE. */
static uint64_t find(const struct rh_beside *s, const struct rh_beside_part *part,
                     uint64_t wanted) {
    uint64_t least = RH_NO_SIZE;
    for (size_t i = 0; i < part->free_count; i++)
        if (part->free[i].more > 0 && part->free[i].size >= wanted && part->free[i].size < least)
            least = part->free[i].size;
    for (uint64_t size = wanted; size < least && size <= s->largest;) {
        const uint32_t block = rh_by_size_find(&s->list, size);
        if (block == RH_NO_BLOCK) return least;
        size = s->list.blocks[block].size;
        size_t i = 0;
        while (i < part->free_count && part->free[i].size != size)
            i++;
        if (i == part->free_count || rh_by_size_more_than(&s->list, block, -part->free[i].more))
            return size < least ? size : least;
        size++;
    }
    return least;
}

/* Sizes from which on a part's tail is large enough, is split, and the other block is as good. */
struct cuts {
    uint64_t enough, split, other;
};

/* The one that lies highest in the part, or 0. */
static uint64_t cut_of(const struct rh_beside_part *part, const struct cuts *cuts) {
    if (part->last >= cuts->other) return cuts->other;
    if (part->last >= cuts->split) return cuts->split;
    return part->last >= cuts->enough ? cuts->enough : 0;
}

/* With `fit` as the smallest of its blocks. Those of its sizes that choose otherwise than the
 * largest are cut off; of the first part, otherwise than the leading one. */
static enum served choose(struct rh_beside *s, size_t at, uint64_t fit, uint64_t wanted,
                          struct choice *choice) {
    const uint64_t cut = s->parts[at].cut, enough = cut + wanted;
    const struct choice listed = {
        .found = fit, .wanted = wanted, .splits = fit - wanted > s->split_above};
    *choice = listed;
    if (s->parts[at].tail_free && fit != wanted) {
        const struct cuts cuts = {enough, enough + s->split_above + 1,
                                  fit == RH_NO_SIZE ? RH_NO_SIZE : cut + fit};
        uint64_t from = cut_of(&s->parts[at], &cuts);
        while (at == 0 && s->leading < from && from > s->parts[0].first) {
            if (!cut_off(s, 0, from, s->parts[0].last)) return NO_MEMORY;
            from = cut_of(&s->parts[0], &cuts);
        }
        choice->tail = from != 0 && from != cuts.other;
        if (choice->tail) choice->splits = from == cuts.split;
        if (from > s->parts[at].first && !cut_off(s, at, s->parts[at].first, from - 1))
            return NO_MEMORY;
    }
    return choice->tail || fit != RH_NO_SIZE ? SERVED : FAILED;
}

/* What the choice does to a part's own free blocks; `sign` -1: and what it would have done. */
static bool count_free(struct rh_beside_part *part, const struct choice *choice, int sign) {
    if (choice->tail) return true;
    return add_free(part, choice->found, -sign) &&
           (!choice->splits || add_free(part, choice->found - choice->wanted, sign));
}

static void use_tail(struct rh_beside_part *part, const struct choice *choice) {
    if (!choice->tail) return;
    part->tail_free = choice->splits;
    if (choice->splits) part->cut += choice->wanted;
}

static enum served serve_other(struct rh_beside *s, size_t at, const struct choice *in_first) {
    struct choice choice;
    const uint64_t fit = find(s, &s->parts[at], in_first->wanted);
    const enum served served = choose(s, at, fit, in_first->wanted, &choice);
    if (served != SERVED) return served;
    if (!choice.tail && !in_first->tail && choice.found == in_first->found) return SERVED;
    struct rh_beside_part *part = &s->parts[at];
    use_tail(part, &choice);
    if (!count_free(part, &choice, 1) || !count_free(part, in_first, -1)) return NO_MEMORY;
    if (given(&choice) != given(in_first)) {
        if (!add_live(part, (uint32_t)s->event, given(&choice))) return NO_MEMORY;
        s->differs[s->event] = 1;
    }
    look_what_meets(s, at);
    return SERVED;
}

/* Its choice is the free block `fit`, but where it is the tail. */
static bool serve_first(struct rh_beside *s, uint32_t fit, const struct choice *choice) {
    struct rh_by_size *list = &s->list;
    uint32_t block = fit;
    if (choice->tail) {
        use_tail(&s->parts[0], choice);
        block = choice->splits ? rh_by_size_new(list, choice->wanted) : RH_BEST_FIT_TAIL;
    } else {
        rh_by_size_pop(list, choice->found);
        if (choice->splits) {
            const uint32_t rest = rh_by_size_new(list, choice->found - choice->wanted);
            if (rest == RH_NO_BLOCK || !rh_by_size_push(list, rest)) return false;
            list->blocks[block].size = choice->wanted;
        }
    }
    s->events[s->event].block = block;
    return block != RH_NO_BLOCK;
}

static bool end_part(struct rh_beside *s, size_t at, bool failed) {
    const struct rh_beside_part *part = &s->parts[at];
    return rh_runs_add(&s->runs, part->first, part->last, failed ? (int64_t)s->event : -1);
}

static enum served serve_others(struct rh_beside *s, const struct choice *in_first) {
    const uint64_t wanted = in_first->wanted, found = in_first->found;
    const uint64_t more = wanted < found ? classes(wanted, found - 1) : 0;
    const uint64_t fewer = UINT64_C(1) << class_of(found);
    for (size_t at = 1; at < s->part_count;) {
        enum served served = SERVED;
        if (in_first->tail || (s->meets[at].more & more) != 0 || (s->meets[at].fewer & fewer) != 0)
            served = serve_other(s, at, in_first);
        if (served == NO_MEMORY || (served == FAILED && !end_part(s, at, true))) return NO_MEMORY;
        if (served == SERVED) {
            at++;
        } else {
            release(&s->parts[at]);
            s->parts[at] = s->parts[--s->part_count];
            s->meets[at] = s->meets[s->part_count];
        }
    }
    return SERVED;
}

/* FAILED: in all sizes. */
static enum served serve(struct rh_beside *s, uint64_t wanted) {
    struct choice choice;
    for (;;) {
        const uint32_t fit = rh_by_size_find(&s->list, wanted);
        const uint64_t found = fit == RH_NO_BLOCK ? RH_NO_SIZE : s->list.blocks[fit].size;
        const enum served served = choose(s, 0, found, wanted, &choice);
        if (served == SERVED && serve_others(s, &choice) == SERVED)
            return serve_first(s, fit, &choice) ? SERVED : NO_MEMORY;
        if (served != FAILED || !end_part(s, 0, true)) return NO_MEMORY;
        if (s->part_count == 1) return FAILED;
        if (!replace_first(s)) return NO_MEMORY;
    }
}

static bool give_back_other(struct rh_beside *s, size_t at, uint32_t of, uint64_t in_first) {
    struct rh_beside_part *part = &s->parts[at];
    struct rh_beside_live *own = find_live(part, of);
    const uint64_t size = own == NULL ? in_first : own->size;
    if (own != NULL) drop_live(part, own);
    if (size == 0) part->tail_free = true;
    if (size != in_first && ((size != 0 && !add_free(part, size, 1)) ||
                             (in_first != 0 && !add_free(part, in_first, -1))))
        return false;
    look_what_meets(s, at);
    return true;
}

static bool give_back(struct rh_beside *s, uint32_t of) {
    const uint32_t block = s->events[of].block;
    if (block == RH_BEST_FIT_TAIL || s->differs[of] != 0) {
        const uint64_t in_first = size_in_first(s, of);
        for (size_t at = 1; at < s->part_count; at++)
            if (!give_back_other(s, at, of, in_first)) return false;
    }
    if (block != RH_BEST_FIT_TAIL) return rh_by_size_push(&s->list, block);
    s->parts[0].tail_free = true;
    return true;
}

enum rh_best_fit_result rh_beside_run(struct rh_beside *s, uint64_t events) {
    for (; events > 0 && s->event < s->event_count; events--, s->event++) {
        const struct rh_best_fit_event event = s->events[s->event];
        if (event.wanted != 0) {
            const enum served served = serve(s, event.wanted);
            if (served == FAILED) return RH_BEST_FIT_DONE;
            if (served == NO_MEMORY) return RH_BEST_FIT_NO_MEMORY;
        }
        if (event.ended != RH_NO_BLOCK && !give_back(s, event.ended)) return RH_BEST_FIT_NO_MEMORY;
    }
    if (s->event < s->event_count) return RH_BEST_FIT_MORE;
    for (size_t at = 0; at < s->part_count; at++)
        if (!end_part(s, at, false)) return RH_BEST_FIT_NO_MEMORY;
    return RH_BEST_FIT_DONE;
}

/* --- beginning and end --------------------------------------------------------------------------
 */

enum rh_best_fit_result rh_beside_begin(struct rh_beside *s, const uint64_t *wanted,
                                        const int32_t *ended, size_t events, uint64_t split_above,
                                        uint64_t first, uint64_t last) {
    /* The smallest ones fail sooner or later; those that stay are nearer to it than to an end. */
    const struct rh_beside begun = {.event_count = events,
                                    .split_above = split_above,
                                    .leading = first + (last - first) / 4 * 3};
    *s = begun;
    const enum rh_best_fit_result result =
        rh_best_fit_take_events(&s->events, wanted, ended, events, &s->largest);
    if (result != RH_BEST_FIT_MORE) return result;
    s->differs = calloc(events + 1, 1);
    const bool begins =
        s->differs != NULL && rh_by_size_begin(&s->list, s->largest) && add_part(s, first, last);
    return begins ? RH_BEST_FIT_MORE : RH_BEST_FIT_NO_MEMORY;
}

void rh_beside_end(struct rh_beside *s) {
    for (size_t at = 0; at < s->part_count; at++)
        release(&s->parts[at]);
    rh_by_size_end(&s->list);
    free(s->parts);
    free(s->meets);
    free(s->differs);
    free(s->events);
    free(s->runs.run);
}
