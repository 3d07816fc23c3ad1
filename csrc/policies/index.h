/*
 * What lies outside the arena: places and sizes of the list's entries. A part of policy.h.
 */

/* In the order of time a place is one of so many, so that a chunk of them has few entries. */
#define POLICY_APART 8u
#define NOWHERE RANK_NOWHERE

/* --- memory --------------------------------------------------------------------------------------
 */

static void policy_drop(struct policy_index *index) {
    if (index == NULL) return;
    if (index->places != NULL) rank_drop(index->places);
    if (index->bins != NULL) rank_drop(index->bins);
    while (index->owned_count > 0)
        free(index->owned[--index->owned_count].memory);
    free(index);
}

RH_INLINE void policy_start_places(struct policy_index *index, const struct rh_policy *policy) {
    index->next_place =
        policy->order == RH_ORDER_LIFO ? index->places_end - POLICY_APART : RANK_FIRST;
}

/* As it was made, but for the ranges, which stay. */
static void policy_clear(struct policy_index *index, const struct rh_policy *policy) {
    for (size_t i = 1; i < index->owned_count; i++)
        memset(index->owned[i].memory, 0, index->owned[i].bytes);
    if (index->places != NULL) rank_clear(index->places);
    if (index->bins != NULL) rank_clear(index->bins);
    index->entries = 0;
    policy_start_places(index, policy);
}

/* All zero; pages that nothing uses cost nothing. NULL where there is no memory. */
static void *policy_array(struct policy_index *index, size_t count, size_t bytes) {
    const struct policy_array made = {calloc(count + 1, bytes), (count + 1) * bytes};
    if (made.memory != NULL) index->owned[index->owned_count++] = made;
    return made.memory;
}

static bool policy_make_places(struct policy_index *index, const struct rh_policy_heap *heap) {
    const bool by_step = (heap->family & POLICY_ORDERED) != 0;
    /* In the order of time each entry has a new place, until all are counted anew. */
    const uint64_t slots = (uint64_t)index->steps + RANK_FIRST;
    const uint64_t end = by_step ? index->steps : slots * POLICY_APART;
    index->places = rank_new(end, 0, false);
    if (index->places == NULL) return false;
    index->places_end = (uint32_t)end;
    policy_start_places(index, &heap->policy);
    if (by_step) return true;
    index->place_of = policy_array(index, index->steps, sizeof(uint32_t));
    index->step_at = policy_array(index, (size_t)slots, sizeof(uint32_t));
    return index->place_of != NULL && index->step_at != NULL;
}

static bool policy_make_bins(struct policy_index *index, const struct rh_policy_heap *heap) {
    const struct rh_policy *policy = &heap->policy;
    size_t bins = ((size_t)index->steps + 1) << heap->odd_bits;
    if (policy->fit == RH_FIT_GOOD) bins = policy_class(2 * index->steps, policy->class_bits) + 1;
    if (policy->fit == RH_FIT_BUDDY) bins = 33;
    index->bin_count = (uint32_t)bins;
    index->bins = bins > UINT32_MAX / 2 ? NULL : rank_new(bins + 1, 0, false);
    if (index->bins == NULL) return false;
    if ((heap->family & POLICY_SIZED) != 0) {
        index->fewer.length = (uint32_t)bins + 1;
        index->fewer.sums = policy_array(index, bins + 2, sizeof(uint32_t));
        if (index->fewer.sums == NULL) return false;
    }
    index->first = policy_array(index, bins, sizeof(uint32_t));
    index->last = policy_array(index, bins, sizeof(uint32_t));
    index->links = policy_array(index, index->steps, sizeof(struct policy_link));
    return index->first != NULL && index->last != NULL && index->links != NULL;
}

/* What holds steps, places and bins. */
static bool policy_make_parts(struct policy_index *index, const struct rh_policy_heap *heap) {
    const struct policy_view view = policy_view(heap);
    if (heap->policy.coalesce == RH_COALESCE_FREE && heap->policy.fit != RH_FIT_BUDDY &&
        (view.family & POLICY_ORDERED) == 0) {
        index->ends = policy_array(index, index->steps, sizeof(uint32_t));
        if (index->ends == NULL) return false;
    }
    if ((view.family & POLICY_PLACES) != 0 && !policy_make_places(index, heap)) return false;
    return (view.family & POLICY_TREE) != 0 || policy_make_bins(index, heap);
}

/* An index without an entry, of the heap's ranges; NULL where there is no memory. */
static struct policy_index *policy_make(const struct rh_policy_heap *heap,
                                        const struct policy_range *ranges, size_t count) {
    struct policy_index *index = calloc(1, sizeof *index);
    const unsigned shift = heap->common.alignment_shift;
    uint64_t steps = RANK_FIRST;
    if (index == NULL) return NULL;
    index->ranges = policy_array(index, count, sizeof *index->ranges);
    for (size_t i = 0; i < count && index->ranges != NULL; i++) {
        struct policy_range *range = &index->ranges[i];
        *range = ranges[i];
        range->first = (uint32_t)steps;
        range->origin = range->start - ((rh_word)steps << shift);
        steps += ((uint64_t)(range->end - range->start) >> shift) + 2;
        if (steps > INT32_MAX / 2) break;
    }
    index->steps = (uint32_t)steps;
    if (index->ranges != NULL && steps <= INT32_MAX / 2 && policy_make_parts(index, heap))
        return index;
    policy_drop(index);
    return NULL;
}

/* --- counts --------------------------------------------------------------------------------------
 */

RH_INLINE void counts_add(struct counts *counts, uint32_t at, uint32_t more) {
    for (at++; at <= counts->length; at += at & (0 - at))
        counts->sums[at] += more;
}

RH_INLINE uint32_t counts_below(const struct counts *counts, uint32_t at) {
    uint32_t count = 0;
    for (; at != 0; at &= at - 1)
        count += counts->sums[at];
    return count;
}

/* --- places --------------------------------------------------------------------------------------
 */

RH_INLINE uint32_t policy_place(const struct rh_policy_heap *heap, uint32_t step,
                                struct policy_view view) {
    return (view.family & POLICY_ORDERED) != 0 ? step : heap->index->place_of[step];
}

/* The entry there; 0 for RANK_HEAD. */
RH_INLINE uint32_t policy_at_place(const struct rh_policy_heap *heap, uint32_t place,
                                   struct policy_view view) {
    return (view.family & POLICY_ORDERED) != 0 ? place : heap->index->step_at[place / POLICY_APART];
}

/* How many entries lie before a place. */
RH_INLINE uint32_t policy_before(const struct policy_index *index, uint32_t place) {
    const struct rh_rank *places = index->places;
    return rank_entries_before(places, place / 64) +
           rank_ones(places->bits[0][place / 64] & (((uint64_t)1 << place % 64) - 1));
}

/* A chunk's largest entry of `old` steps left, or has become smaller. */
RH_INLINE void policy_lower(const struct rh_policy_heap *heap, uint32_t chunk, uint32_t old,
                            struct policy_view view) {
    struct rh_rank *places = heap->index->places;
    if (places->nodes[places->leaves + chunk].largest != old) return;
    rh_word largest = 0; /* by what the headers hold now */
    for (uint64_t bits = places->bits[0][chunk]; bits != 0; bits &= bits - 1) {
        const uint32_t place = chunk * 64 + RANK_LOWEST(bits);
        const rh_word size = policy_size_at(heap, policy_at_place(heap, place, view), view);
        if (size > largest) largest = size;
    }
    rank_set(places, chunk, policy_steps(heap, largest));
}

RH_INLINE void policy_raise(const struct rh_policy_heap *heap, uint32_t chunk, uint32_t steps) {
    struct rh_rank *places = heap->index->places;
    if (places->nodes[places->leaves + chunk].largest < steps) rank_set(places, chunk, steps);
}

RH_INLINE void policy_put_place(struct rh_policy_heap *heap, uint32_t place, uint32_t steps,
                                struct policy_view view) {
    rank_mark(heap->index->places, place);
    rank_add(heap->index->places, place / 64, 1);
    if ((view.family & POLICY_TREE) != 0) policy_raise(heap, place / 64, steps);
}

RH_INLINE void policy_take_place(struct rh_policy_heap *heap, uint32_t place, uint32_t steps,
                                 struct policy_view view) {
    rank_unmark(heap->index->places, place);
    rank_add(heap->index->places, place / 64, (uint32_t)-1);
    if ((view.family & POLICY_TREE) != 0) policy_lower(heap, place / 64, steps, view);
}

/* An entry is now another, with none between them. */
RH_INLINE void policy_move_place(struct rh_policy_heap *heap, uint32_t from, uint32_t to) {
    struct rh_rank *places = heap->index->places;
    if (from / 64 == to / 64) {
        places->bits[0][from / 64] ^= (uint64_t)1 << from % 64 ^ (uint64_t)1 << to % 64;
        return;
    }
    rank_unmark(places, from);
    rank_mark(places, to);
    rank_pass(places, from / 64, to / 64);
}

RH_INLINE void policy_renumber(struct rh_policy_heap *heap, uint32_t from, uint32_t to) {
    struct policy_index *index = heap->index;
    const struct policy_view view = policy_view(heap);
    const uint32_t step = policy_at_place(heap, from, view);
    const uint32_t steps = policy_steps(heap, policy_size_at(heap, step, view));
    if (from == to) return;
    policy_take_place(heap, from, steps, view);
    index->step_at[to / POLICY_APART] = step;
    index->place_of[step] = to;
    policy_put_place(heap, to, steps, view);
}

/* The entries close up at one end. At least half of all places are free then. */
static void policy_close_up(struct rh_policy_heap *heap) {
    struct policy_index *index = heap->index;
    uint32_t to, at;
    if (heap->policy.order == RH_ORDER_LIFO) {
        to = at = index->places_end;
        while ((at = rank_place_before(index->places, at)) != RANK_HEAD)
            policy_renumber(heap, at, to -= POLICY_APART);
        index->next_place = to - POLICY_APART;
    } else {
        to = at = RANK_FIRST;
        for (; (at = rank_place_from(index->places, at)) != NOWHERE; to += POLICY_APART)
            policy_renumber(heap, at++, to);
        index->next_place = to;
    }
}

/* The place of a new entry: the first of all, or the last. */
RH_INLINE uint32_t policy_new_place(struct rh_policy_heap *heap, uint32_t step,
                                    struct policy_view view) {
    struct policy_index *index = heap->index;
    if ((view.family & POLICY_ORDERED) != 0) return step;
    if (index->next_place < RANK_FIRST || index->next_place == index->places_end)
        policy_close_up(heap);
    const uint32_t place = index->next_place;
    index->next_place += heap->policy.order == RH_ORDER_LIFO ? 0 - POLICY_APART : POLICY_APART;
    index->place_of[step] = place;
    index->step_at[place / POLICY_APART] = step;
    return place;
}

/* --- bins ----------------------------------------------------------------------------------------
 * Where the list has another order than its bins, a bin is a pairing heap by place: the first in
 * the list is its root. Else it is a part of the list.
 */

/* The earlier of two roots, with the other as its first child. Either may be 0. */
RH_INLINE uint32_t policy_meld(struct rh_policy_heap *heap, uint32_t a, uint32_t b,
                               struct policy_view view) {
    struct policy_link *links = heap->index->links;
    if (a == 0 || b == 0) return a + b;
    if (policy_place(heap, b, view) < policy_place(heap, a, view)) {
        const uint32_t other = a;
        a = b;
        b = other;
    }
    const uint32_t child = links[a].child;
    links[b].next = child;
    links[b].previous = a;
    if (child != 0) links[child].previous = b;
    links[a].child = b;
    return a;
}

/* Siblings in pairs from the first to the last, then the pairs from the last to the first. */
RH_INLINE uint32_t policy_meld_all(struct rh_policy_heap *heap, uint32_t at,
                                   struct policy_view view) {
    struct policy_link *links = heap->index->links;
    uint32_t pairs = 0, root = 0;
    while (at != 0) {
        const uint32_t other = links[at].next;
        const uint32_t after = other == 0 ? 0 : links[other].next;
        const uint32_t pair = policy_meld(heap, at, other, view);
        links[pair].next = pairs;
        pairs = pair;
        at = after;
    }
    while (pairs != 0) {
        const uint32_t after = links[pairs].next;
        root = policy_meld(heap, root, pairs, view);
        pairs = after;
    }
    return root;
}

RH_INLINE void policy_heap_put(struct rh_policy_heap *heap, uint32_t step, uint32_t bin,
                               struct policy_view view) {
    uint32_t *root = &heap->index->first[bin];
    const struct policy_link none = {0, 0, 0};
    heap->index->links[step] = none;
    *root = policy_meld(heap, *root, step, view);
}

RH_INLINE void policy_heap_take(struct rh_policy_heap *heap, uint32_t step, uint32_t bin,
                                struct policy_view view) {
    struct policy_link *links = heap->index->links;
    uint32_t *root = &heap->index->first[bin];
    const struct policy_link link = links[step];
    const uint32_t children = policy_meld_all(heap, link.child, view);
    if (*root == step) {
        *root = children;
        return;
    }
    if (links[link.previous].child == step)
        links[link.previous].child = link.next;
    else
        links[link.previous].next = link.next;
    if (link.next != 0) links[link.next].previous = link.previous;
    *root = policy_meld(heap, *root, children, view);
}

/* After `previous`, an entry of the same bin; 0: first. */
RH_INLINE void policy_run_put(struct policy_index *index, uint32_t step, uint32_t bin,
                              uint32_t previous) {
    struct policy_link *link = &index->links[step];
    link->previous = previous;
    link->next = previous == 0 ? index->first[bin] : index->links[previous].next;
    if (previous == 0)
        index->first[bin] = step;
    else
        index->links[previous].next = step;
    if (link->next == 0)
        index->last[bin] = step;
    else
        index->links[link->next].previous = step;
}

RH_INLINE void policy_run_take(struct policy_index *index, uint32_t step, uint32_t bin) {
    const struct policy_link link = index->links[step];
    if (link.previous == 0)
        index->first[bin] = link.next;
    else
        index->links[link.previous].next = link.next;
    if (link.next == 0)
        index->last[bin] = link.previous;
    else
        index->links[link.next].previous = link.previous;
}

RH_INLINE void policy_put_bin(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                              uint32_t previous, struct policy_view view) {
    struct policy_index *index = heap->index;
    const uint32_t bin = policy_bin(heap, size, view);
    if (index->first[bin] == 0) rank_mark(index->bins, RANK_FIRST + bin);
    if ((view.family & POLICY_PLACES) != 0)
        policy_heap_put(heap, step, bin, view);
    else
        policy_run_put(index, step, bin, previous);
    if ((view.family & POLICY_SIZED) != 0) counts_add(&index->fewer, bin, 1);
}

RH_INLINE void policy_take_bin(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                               struct policy_view view) {
    struct policy_index *index = heap->index;
    const uint32_t bin = policy_bin(heap, size, view);
    if ((view.family & POLICY_PLACES) != 0)
        policy_heap_take(heap, step, bin, view);
    else
        policy_run_take(index, step, bin);
    if (index->first[bin] == 0) rank_unmark(index->bins, RANK_FIRST + bin);
    if ((view.family & POLICY_SIZED) != 0) counts_add(&index->fewer, bin, (uint32_t)-1);
}

/* The nearest bin from one on, or below it, that has an entry; NOWHERE: none. */
RH_INLINE uint32_t policy_bin_from(const struct policy_index *index, uint32_t bin) {
    const uint32_t found = rank_place_from(index->bins, RANK_FIRST + bin);
    return found == NOWHERE ? NOWHERE : found - RANK_FIRST;
}

RH_INLINE uint32_t policy_bin_below(const struct policy_index *index, uint32_t bin) {
    const uint32_t found = rank_place_before(index->bins, RANK_FIRST + bin);
    return found == RANK_HEAD ? NOWHERE : found - RANK_FIRST;
}

/* --- entries -------------------------------------------------------------------------------------
 */

/* `previous`: in the same bin, where that is a part of the list. */
RH_INLINE void policy_put(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                          uint32_t previous, struct policy_view view) {
    struct policy_index *index = heap->index;
    const uint32_t steps = policy_steps(heap, size);
    index->entries++;
    if ((view.family & POLICY_PLACES) != 0)
        policy_put_place(heap, policy_new_place(heap, step, view), steps, view);
    if ((view.family & POLICY_TREE) == 0) policy_put_bin(heap, step, size, previous, view);
    if ((view.family & POLICY_ORDERED) == 0 && index->ends != NULL)
        index->ends[step + steps - 1] = step;
}

RH_INLINE void policy_take(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                           struct policy_view view) {
    struct policy_index *index = heap->index;
    const uint32_t steps = policy_steps(heap, size);
    index->entries--;
    if ((view.family & POLICY_PLACES) != 0)
        policy_take_place(heap, policy_place(heap, step, view), steps, view);
    if ((view.family & POLICY_TREE) == 0) policy_take_bin(heap, step, size, view);
    if ((view.family & POLICY_ORDERED) == 0 && index->ends != NULL)
        index->ends[step + steps - 1] = 0;
}

/* In the order of addresses: an entry is now another, with none between them. */
RH_INLINE void policy_move(struct rh_policy_heap *heap, uint32_t step, rh_word size, uint32_t to,
                           rh_word new_size, struct policy_view view) {
    if (step != to) policy_move_place(heap, step, to);
    if ((view.family & POLICY_TREE) == 0) {
        policy_take_bin(heap, step, size, view);
        policy_put_bin(heap, to, new_size, 0, view);
        return;
    }
    if (new_size < size || step / 64 != to / 64)
        policy_lower(heap, step / 64, policy_steps(heap, size), view);
    if (new_size > size || step / 64 != to / 64)
        policy_raise(heap, to / 64, policy_steps(heap, new_size));
}
