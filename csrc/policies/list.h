/*
 * The free list in the arena, in the order of the policy, and the index with it. A part of
 * policy.h.
 */

/* --- the neighbours of an entry ------------------------------------------------------------------
 */

/* The entry before one in its list, or 0. */
static uint32_t policy_previous(const struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    const struct policy_index *index = heap->index;
    if (policy_has_places(&heap->policy))
        return policy_at_place(heap, bits_below(&index->places, policy_place(heap, step)));
    const uint32_t previous = index->links[step].previous;
    if (previous != 0 || policy_by_class(&heap->policy)) return previous;
    const uint32_t bin = policy_bin_below(index, policy_bin(heap, size));
    return bin == NOWHERE ? 0 : index->last[bin];
}

/* The first entry of the list that one of a size is in, or `end`. */
static rh_word policy_first_of(const struct rh_policy_heap *heap, rh_word size) {
    struct rh_region *region;
    if (!policy_by_class(&heap->policy)) return heap->head;
    const uint32_t first = heap->index->first[policy_bin(heap, size)];
    return first == 0 ? heap->end : policy_block(heap, first, &region);
}

/* Where a new entry belongs. */
struct policy_gap {
    uint32_t previous; /* the entry before it in its list, or 0 */
    rh_word nodes;     /* that are read to find it */
};

/* A class in the order of addresses has nothing but its list. */
static void policy_gap_in_class(const struct rh_policy_heap *heap, uint32_t step, uint32_t bin,
                                struct policy_gap *gap) {
    const struct policy_index *index = heap->index;
    for (uint32_t at = index->first[bin]; at != 0; at = index->links[at].next) {
        gap->nodes++;
        if (at > step) break;
        gap->previous = at;
    }
}

static void policy_find_gap(const struct rh_policy_heap *heap, uint32_t step, rh_word size,
                            struct policy_gap *gap) {
    const struct policy_index *index = heap->index;
    gap->previous = 0;
    gap->nodes = 0;
    switch (heap->policy.order) {
    case RH_ORDER_LIFO: return;
    case RH_ORDER_FIFO:
        if (policy_by_class(&heap->policy))
            gap->previous = index->last[policy_bin(heap, size)];
        else
            gap->previous = policy_at_place(heap, bits_below(&index->places, index->capacity));
        return;
    case RH_ORDER_SIZE: {
        const uint32_t bin = policy_bin(heap, size), below = policy_bin_below(index, bin);
        if (below != NOWHERE) gap->previous = index->last[below];
        gap->nodes = counts_below(&index->fewer, bin);
        gap->nodes += gap->nodes < index->entries;
        return;
    }
    default: break;
    }
    if (policy_by_class(&heap->policy)) {
        policy_gap_in_class(heap, step, policy_bin(heap, size), gap);
    } else {
        gap->previous = policy_at_place(heap, bits_below(&index->places, step));
        gap->nodes = policy_before(index, step);
    }
}

/* --- in and out ----------------------------------------------------------------------------------
 */

/* Opens every change of an entry, as RH_VISIT does. 0 is none. */
#define POLICY_MEET(heap, step)                                                                    \
    do {                                                                                           \
        struct rh_region *met_region;                                                              \
        const uint32_t met_step = (step);                                                          \
        if (met_step == 0) break;                                                                  \
        const rh_word met_block = policy_block((heap), met_step, &met_region);                     \
        RH_VISIT((heap), met_region, met_block);                                                   \
    } while (0)

/* `previous` of 0: the list's head, which a class has outside. */
RH_INLINE void policy_put_next(struct rh_policy_heap *heap, uint32_t previous, rh_word link) {
    struct rh_region *region;
    if (previous != 0) {
        const rh_word block = policy_block(heap, previous, &region);
        rh_put_next(region, block, link);
    } else if (!policy_by_class(&heap->policy)) {
        heap->head = link;
    }
}

/* Takes an entry out of the list. */
static void policy_unlink(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    policy_put_next(heap, policy_previous(heap, step, size), policy_next_of(heap, step));
    policy_take(heap, step, size);
}

/* Puts a free block into the list, and writes its header. The nodes that were read. */
static rh_word policy_link_in(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    struct rh_region *region;
    struct policy_gap gap;
    policy_find_gap(heap, step, size, &gap);
    const rh_word block = policy_block(heap, step, &region);
    const rh_word next =
        gap.previous == 0 ? policy_first_of(heap, size) : policy_next_of(heap, gap.previous);
    rh_put_header(region, block, next, size);
    policy_put_next(heap, gap.previous, block);
    policy_put(heap, step, size, policy_by_class(&heap->policy) ? gap.previous : 0);
    return gap.nodes;
}

/* In the order of addresses: the entry at `step` is now at `to`, or has another size. */
RH_INLINE void policy_shift(struct rh_policy_heap *heap, uint32_t step, rh_word size, uint32_t to,
                            rh_word new_size) {
    struct rh_region *region;
    const rh_word block = policy_block(heap, to, &region);
    if (step == to) {
        rh_put_size(region, block, new_size);
    } else {
        rh_put_header(region, block, policy_next_of(heap, step), new_size);
        policy_put_next(heap, policy_previous(heap, step, size), block);
    }
    policy_move(heap, step, size, to, new_size);
}

/* Is an entry of the one list in the order of addresses, so that what is left of it, and what it
 * takes in, is at its place? */
RH_INLINE bool policy_stays(const struct rh_policy_heap *heap) {
    return policy_in_place(&heap->policy) && policy_has_places(&heap->policy);
}
