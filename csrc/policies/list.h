/*
 * The free list in the arena, in the order of the policy, and the index with it. A part of
 * policy.h.
 */

/* --- the neighbours of an entry ------------------------------------------------------------------
 */

/* The entry before one in its list, or 0. */
RH_INLINE uint32_t policy_previous(const struct rh_policy_heap *heap, uint32_t step, rh_word size,
                                   unsigned family) {
    const struct policy_index *index = heap->index;
    if ((family & POLICY_PLACES) != 0) {
        const uint32_t place = policy_place(heap, step, family);
        return policy_at_place(heap, rank_place_before(index->places, place), family);
    }
    const uint32_t previous = index->links[step].previous;
    if (previous != 0 || (family & POLICY_CLASS) != 0) return previous;
    const uint32_t bin = policy_bin_below(index, policy_bin(heap, size, family));
    return bin == NOWHERE ? 0 : index->last[bin];
}

/* The first entry of the list that one of a size is in, or `end`. */
RH_INLINE rh_word policy_first_of(const struct rh_policy_heap *heap, rh_word size,
                                  unsigned family) {
    struct rh_region *region;
    if ((family & POLICY_CLASS) == 0) return heap->head;
    const uint32_t first = heap->index->first[policy_bin(heap, size, family)];
    return first == 0 ? heap->end : policy_block(heap, first, &region);
}

/* Of a class in the order of addresses, which has nothing but its list: the last entry before one,
 * or 0, and how many are read to find it. */
RH_SHARED uint32_t policy_gap_in_class(const struct policy_index *index, uint32_t step,
                                       uint32_t bin, rh_word *nodes) {
    uint32_t previous = 0;
    *nodes = 0;
    for (uint32_t at = index->first[bin]; at != 0; at = index->links[at].next) {
        ++*nodes;
        if (at > step) break;
        previous = at;
    }
    return previous;
}

/* The entry before a new one in its list, or 0. */
RH_INLINE uint32_t policy_gap(const struct rh_policy_heap *heap, uint32_t step, rh_word size,
                              unsigned family) {
    const struct policy_index *index = heap->index;
    rh_word nodes;
    if ((family & POLICY_ORDERED) != 0) return rank_place_before(index->places, step);
    if ((family & POLICY_SIZED) != 0) {
        const uint32_t below = policy_bin_below(index, policy_bin(heap, size, family));
        return below == NOWHERE ? 0 : index->last[below];
    }
    if (heap->policy.order == RH_ORDER_LIFO) return 0;
    if ((family & POLICY_CLASS) == 0)
        return policy_at_place(heap, rank_place_before(index->places, index->places_end), family);
    const uint32_t bin = policy_bin(heap, size, family);
    if (heap->policy.order == RH_ORDER_FIFO) return index->last[bin];
    return policy_gap_in_class(index, step, bin, &nodes);
}

/* The entries that are read to find it. */
RH_INLINE rh_word policy_gap_nodes(const struct rh_policy_heap *heap, uint32_t step, rh_word size,
                                   unsigned family) {
    const struct policy_index *index = heap->index;
    rh_word nodes = 0;
    if ((family & POLICY_ORDERED) != 0) return policy_before(index, step);
    if ((family & POLICY_SIZED) != 0) {
        nodes = counts_below(&index->fewer, policy_bin(heap, size, family));
        return nodes + (nodes < index->entries);
    }
    if ((family & POLICY_CLASS) != 0 && heap->policy.order == RH_ORDER_ADDRESS)
        policy_gap_in_class(index, step, policy_bin(heap, size, family), &nodes);
    return nodes;
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
RH_INLINE void policy_put_next(struct rh_policy_heap *heap, uint32_t previous, rh_word link,
                               unsigned family) {
    struct rh_region *region;
    if (previous != 0) {
        const rh_word block = policy_block(heap, previous, &region);
        rh_put_next(region, block, link);
    } else if ((family & POLICY_CLASS) == 0) {
        heap->head = link;
    }
}

/* Takes an entry out of the list, with the one before it. */
RH_INLINE void policy_unlink(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                             uint32_t previous, unsigned family) {
    policy_put_next(heap, previous, policy_next_of(heap, step), family);
    policy_take(heap, step, size, family);
}

/* Puts a free block into the list after `previous`, and writes its header. */
RH_INLINE void policy_link_in(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                              uint32_t previous, unsigned family) {
    struct rh_region *region;
    const rh_word block = policy_block(heap, step, &region);
    const rh_word next =
        previous == 0 ? policy_first_of(heap, size, family) : policy_next_of(heap, previous);
    rh_put_header(region, block, next, size);
    policy_put_next(heap, previous, block, family);
    policy_put(heap, step, size, (family & POLICY_CLASS) != 0 ? previous : 0, family);
}

/* The same where nothing is known of the neighbours. */
static void policy_leave(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    policy_unlink(heap, step, size, policy_previous(heap, step, size, heap->family), heap->family);
}

static void policy_enter(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    policy_link_in(heap, step, size, policy_gap(heap, step, size, heap->family), heap->family);
}

/* In the order of addresses: the entry at `step`, which comes after `previous`, is now at `to`, or
 * has another size. */
RH_INLINE void policy_shift(struct rh_policy_heap *heap, uint32_t step, rh_word size, uint32_t to,
                            rh_word new_size, uint32_t previous, unsigned family) {
    struct rh_region *region;
    const rh_word block = policy_block(heap, to, &region);
    if (step == to) {
        rh_put_size(region, block, new_size);
    } else {
        rh_put_header(region, block, policy_next_of(heap, step), new_size);
        policy_put_next(heap, previous, block, family);
    }
    policy_move(heap, step, size, to, new_size, family);
}
