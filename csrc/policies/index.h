/*
 * What lies outside the arena: places and sizes of the list's entries. A part of policy.h.
 */

/* --- memory --------------------------------------------------------------------------------------
 */

static void policy_drop(struct policy_index *index) {
    while (index != NULL && index->owned_count > 0)
        free(index->owned[--index->owned_count].memory);
    free(index);
}

/* As it was made, but for the ranges, which stay. */
static void policy_clear(struct policy_index *index, const struct rh_policy *policy) {
    for (size_t i = 1; i < index->owned_count; i++)
        memset(index->owned[i].memory, 0, index->owned[i].bytes);
    index->entries = 0;
    index->next_place = policy->order == RH_ORDER_LIFO ? index->capacity - 1 : POLICY_FIRST;
}

/* All zero; pages that nothing uses cost nothing. NULL where there is no memory. */
static void *policy_array(struct policy_index *index, size_t count, size_t bytes) {
    const struct policy_array made = {calloc(count + 1, bytes), (count + 1) * bytes};
    if (made.memory != NULL) index->owned[index->owned_count++] = made;
    return made.memory;
}

static bool policy_make_bits(struct policy_index *index, struct bits *bits, size_t capacity) {
    size_t words[BITS_LEVELS], all = 0;
    do {
        words[bits->levels] = (capacity + 63) / 64;
        capacity = words[bits->levels];
        all += capacity;
    } while (words[bits->levels++] > 1);
    bits->words[0] = policy_array(index, all, sizeof(uint64_t));
    for (unsigned level = 1; level < bits->levels && bits->words[0] != NULL; level++)
        bits->words[level] = bits->words[level - 1] + words[level - 1];
    return bits->words[0] != NULL;
}

static bool policy_make_counts(struct policy_index *index, struct counts *counts, size_t length) {
    counts->length = (uint32_t)length;
    counts->sums = policy_array(index, length + 1, sizeof(uint32_t));
    return counts->sums != NULL;
}

static size_t policy_power(size_t least) {
    size_t power = 1;
    while (power < least)
        power *= 2;
    return power;
}

static bool policy_make_places(struct policy_index *index, const struct rh_policy *policy) {
    /* In the order of time each entry has a new place, until all are counted anew. */
    const size_t capacity =
        policy_in_place(policy) ? index->steps : 2 * policy_power((size_t)index->steps + 64);
    if (capacity > UINT32_MAX / 2) return false;
    index->capacity = (uint32_t)capacity;
    index->next_place = policy->order == RH_ORDER_LIFO ? index->capacity - 1 : POLICY_FIRST;
    if (!policy_make_bits(index, &index->places, capacity + 1) ||
        !policy_make_counts(index, &index->before, capacity / 64 + 1))
        return false;
    if (policy_has_tree(policy)) {
        index->tallest.leaves = (uint32_t)policy_power(capacity);
        index->tallest.largest =
            policy_array(index, 2 * (size_t)index->tallest.leaves, sizeof(uint32_t));
        if (index->tallest.largest == NULL) return false;
    }
    if (policy_in_place(policy)) return true;
    index->place_of = policy_array(index, index->steps, sizeof(uint32_t));
    index->step_at = policy_array(index, capacity, sizeof(uint32_t));
    return index->place_of != NULL && index->step_at != NULL;
}

static bool policy_make_bins(struct policy_index *index, const struct rh_policy_heap *heap) {
    const struct rh_policy *policy = &heap->policy;
    size_t bins = ((size_t)index->steps + 1) << heap->odd_bits;
    if (policy->fit == RH_FIT_GOOD) bins = policy_class(2 * index->steps, policy->class_bits) + 1;
    if (policy->fit == RH_FIT_BUDDY) bins = 33;
    index->bin_count = (uint32_t)bins;
    if (bins > UINT32_MAX / 2 || !policy_make_bits(index, &index->bins, bins + 2)) return false;
    if (policy_by_size(policy) && !policy_by_class(policy) &&
        !policy_make_counts(index, &index->fewer, bins + 1))
        return false;
    index->first = policy_array(index, bins, sizeof(uint32_t));
    index->last = policy_array(index, bins, sizeof(uint32_t));
    index->links = policy_array(index, index->steps, sizeof(struct policy_link));
    return index->first != NULL && index->last != NULL && index->links != NULL;
}

/* An index without an entry, of the heap's ranges; NULL where there is no memory. */
static struct policy_index *policy_make(const struct rh_policy_heap *heap,
                                        const struct policy_range *ranges, size_t count) {
    struct policy_index *index = calloc(1, sizeof *index);
    uint64_t steps = POLICY_FIRST;
    if (index == NULL) return NULL;
    index->ranges = policy_array(index, count, sizeof *index->ranges);
    for (size_t i = 0; i < count && index->ranges != NULL; i++) {
        index->ranges[i] = ranges[i];
        index->ranges[i].first = (uint32_t)steps;
        steps += ((uint64_t)(ranges[i].end - ranges[i].start) >> heap->common.alignment_shift) + 2;
        if (steps > INT32_MAX / 2) break;
    }
    index->steps = (uint32_t)steps;
    bool made = index->ranges != NULL && steps <= INT32_MAX / 2;
    if (made && heap->policy.coalesce == RH_COALESCE_FREE && heap->policy.fit != RH_FIT_BUDDY) {
        index->ends = policy_array(index, index->steps, sizeof(uint32_t));
        made = index->ends != NULL;
    }
    if (made && policy_has_places(&heap->policy)) made = policy_make_places(index, &heap->policy);
    if (made && !policy_has_tree(&heap->policy)) made = policy_make_bins(index, heap);
    if (made) return index;
    policy_drop(index);
    return NULL;
}

/* --- places --------------------------------------------------------------------------------------
 */

RH_INLINE uint32_t policy_place(const struct rh_policy_heap *heap, uint32_t step) {
    return policy_in_place(&heap->policy) ? step : heap->index->place_of[step];
}

RH_INLINE uint32_t policy_at_place(const struct rh_policy_heap *heap, uint32_t place) {
    if (place == NOWHERE) return 0;
    return policy_in_place(&heap->policy) ? place : heap->index->step_at[place];
}

/* How many entries lie before a place. */
RH_INLINE uint32_t policy_before(const struct policy_index *index, uint32_t place) {
    return counts_below(&index->before, place / 64) +
           bits_count(index->places.words[0][place / 64] & (((uint64_t)1 << place % 64) - 1));
}

RH_INLINE void policy_put_place(struct rh_policy_heap *heap, uint32_t place, uint32_t steps) {
    struct policy_index *index = heap->index;
    bits_add(&index->places, place);
    counts_add(&index->before, place / 64, 1);
    if (index->tallest.leaves != 0) tallest_set(&index->tallest, place, steps);
}

RH_INLINE void policy_take_place(struct rh_policy_heap *heap, uint32_t place) {
    struct policy_index *index = heap->index;
    bits_remove(&index->places, place);
    counts_add(&index->before, place / 64, (uint32_t)-1);
    if (index->tallest.leaves != 0) tallest_set(&index->tallest, place, 0);
}

RH_INLINE void policy_move_place(struct rh_policy_heap *heap, uint32_t from, uint32_t to) {
    struct policy_index *index = heap->index;
    const uint32_t step = index->step_at[from];
    if (from == to) return;
    policy_take_place(heap, from);
    policy_put_place(heap, to, policy_steps(heap, policy_size_at(heap, step)));
    index->step_at[to] = step;
    index->place_of[step] = to;
}

/* The entries close up at one end. More than half of all places are free then. */
static void policy_close_up(struct rh_policy_heap *heap) {
    struct policy_index *index = heap->index;
    uint32_t to, at;
    if (heap->policy.order == RH_ORDER_LIFO) {
        to = at = index->capacity;
        while ((at = bits_below(&index->places, at)) != NOWHERE)
            policy_move_place(heap, at, --to);
        index->next_place = to - 1;
    } else {
        to = at = POLICY_FIRST;
        while ((at = bits_from(&index->places, at)) != NOWHERE)
            policy_move_place(heap, at++, to++);
        index->next_place = to;
    }
}

/* The place of a new entry: the first of all, or the last. */
RH_INLINE uint32_t policy_new_place(struct rh_policy_heap *heap, uint32_t step) {
    struct policy_index *index = heap->index;
    if (policy_in_place(&heap->policy)) return step;
    if (index->next_place < POLICY_FIRST || index->next_place == index->capacity)
        policy_close_up(heap);
    const uint32_t place = index->next_place;
    index->next_place += heap->policy.order == RH_ORDER_LIFO ? (uint32_t)-1 : 1;
    index->place_of[step] = place;
    index->step_at[place] = step;
    return place;
}

/* --- bins ----------------------------------------------------------------------------------------
 * Where the list has another order than its bins, a bin is a pairing heap by place: the first in
 * the list is its root. Else it is a part of the list.
 */

/* The earlier of two roots, with the other as its first child. Either may be 0. */
RH_INLINE uint32_t policy_meld(struct rh_policy_heap *heap, uint32_t a, uint32_t b) {
    struct policy_link *links = heap->index->links;
    if (a == 0 || b == 0) return a + b;
    if (policy_place(heap, b) < policy_place(heap, a)) {
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
RH_INLINE uint32_t policy_meld_all(struct rh_policy_heap *heap, uint32_t at) {
    struct policy_link *links = heap->index->links;
    uint32_t pairs = 0, root = 0;
    while (at != 0) {
        const uint32_t other = links[at].next;
        const uint32_t after = other == 0 ? 0 : links[other].next;
        const uint32_t pair = policy_meld(heap, at, other);
        links[pair].next = pairs;
        pairs = pair;
        at = after;
    }
    while (pairs != 0) {
        const uint32_t after = links[pairs].next;
        root = policy_meld(heap, root, pairs);
        pairs = after;
    }
    return root;
}

RH_INLINE void policy_heap_put(struct rh_policy_heap *heap, uint32_t step, uint32_t bin) {
    uint32_t *root = &heap->index->first[bin];
    const struct policy_link none = {0, 0, 0};
    heap->index->links[step] = none;
    *root = policy_meld(heap, *root, step);
}

RH_INLINE void policy_heap_take(struct rh_policy_heap *heap, uint32_t step, uint32_t bin) {
    struct policy_link *links = heap->index->links;
    uint32_t *root = &heap->index->first[bin];
    const struct policy_link link = links[step];
    const uint32_t children = policy_meld_all(heap, link.child);
    if (*root == step) {
        *root = children;
        return;
    }
    if (links[link.previous].child == step)
        links[link.previous].child = link.next;
    else
        links[link.previous].next = link.next;
    if (link.next != 0) links[link.next].previous = link.previous;
    *root = policy_meld(heap, *root, children);
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
                              uint32_t previous) {
    struct policy_index *index = heap->index;
    const uint32_t bin = policy_bin(heap, size);
    if (index->first[bin] == 0) bits_add(&index->bins, bin + 1);
    if (policy_has_places(&heap->policy))
        policy_heap_put(heap, step, bin);
    else
        policy_run_put(index, step, bin, previous);
    if (index->fewer.length != 0) counts_add(&index->fewer, bin, 1);
}

RH_INLINE void policy_take_bin(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    struct policy_index *index = heap->index;
    const uint32_t bin = policy_bin(heap, size);
    if (policy_has_places(&heap->policy))
        policy_heap_take(heap, step, bin);
    else
        policy_run_take(index, step, bin);
    if (index->first[bin] == 0) bits_remove(&index->bins, bin + 1);
    if (index->fewer.length != 0) counts_add(&index->fewer, bin, (uint32_t)-1);
}

/* The nearest bin from one on, or below it, that has an entry; NOWHERE: none. */
RH_INLINE uint32_t policy_bin_from(const struct policy_index *index, uint32_t bin) {
    const uint32_t found = bits_from(&index->bins, bin + 1);
    return found == NOWHERE ? NOWHERE : found - 1;
}

RH_INLINE uint32_t policy_bin_below(const struct policy_index *index, uint32_t bin) {
    const uint32_t found = bits_below(&index->bins, bin + 1);
    return found == NOWHERE ? NOWHERE : found - 1;
}

/* --- entries -------------------------------------------------------------------------------------
 */

/* `previous`: in the same bin, where that is a part of the list. */
RH_INLINE void policy_put(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                          uint32_t previous) {
    struct policy_index *index = heap->index;
    const uint32_t steps = policy_steps(heap, size);
    index->entries++;
    if (policy_has_places(&heap->policy))
        policy_put_place(heap, policy_new_place(heap, step), steps);
    if (!policy_has_tree(&heap->policy)) policy_put_bin(heap, step, size, previous);
    if (index->ends != NULL) index->ends[step + steps - 1] = step;
}

RH_INLINE void policy_take(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    struct policy_index *index = heap->index;
    index->entries--;
    if (policy_has_places(&heap->policy)) policy_take_place(heap, policy_place(heap, step));
    if (!policy_has_tree(&heap->policy)) policy_take_bin(heap, step, size);
    if (index->ends != NULL) index->ends[step + policy_steps(heap, size) - 1] = 0;
}

/* In the order of addresses: an entry is now another, with none between them. */
RH_INLINE void policy_move(struct rh_policy_heap *heap, uint32_t step, rh_word size, uint32_t to,
                           rh_word new_size) {
    struct policy_index *index = heap->index;
    const uint32_t steps = policy_steps(heap, new_size);
    if (step != to) {
        bits_remove(&index->places, step);
        bits_add(&index->places, to);
        if (step / 64 != to / 64) {
            counts_add(&index->before, step / 64, (uint32_t)-1);
            counts_add(&index->before, to / 64, 1);
        }
    }
    if (policy_has_tree(&heap->policy)) {
        if (step != to) tallest_set(&index->tallest, step, 0);
        tallest_set(&index->tallest, to, steps);
    } else {
        policy_take_bin(heap, step, size);
        policy_put_bin(heap, to, new_size, 0);
    }
    if (index->ends != NULL) {
        index->ends[step + policy_steps(heap, size) - 1] = 0;
        index->ends[to + steps - 1] = to;
    }
}
