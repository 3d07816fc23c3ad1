/*
 * The free list in the arena, in the order of the policy, and the index with it. A part of
 * policy.h.
 */

/* --- the neighbours of an entry ------------------------------------------------------------------
 */

/* The entry before one in its list, or 0. */
RH_INLINE uint32_t policy_previous(const struct rh_policy_heap *heap, uint32_t step, rh_word size,
                                   struct policy_view view) {
    const struct policy_index *index = heap->index;
    if ((view.family & POLICY_PLACES) != 0) {
        const uint32_t place = policy_place(heap, step, view);
        return policy_at_place(heap, rank_place_before(index->places, place), view);
    }
    const uint32_t previous = index->links[step].previous;
    if (previous != 0 || (view.family & POLICY_CLASS) != 0) return previous;
    const uint32_t bin = policy_bin_below(index, policy_bin(heap, size, view));
    return bin == NOWHERE ? 0 : index->last[bin];
}

/* The first entry of the list that one of a size is in, or `end`. */
RH_INLINE rh_word policy_first_of(const struct rh_policy_heap *heap, rh_word size,
                                  struct policy_view view) {
    struct rh_region *region;
    if ((view.family & POLICY_CLASS) == 0) return heap->head;
    const uint32_t first = heap->index->first[policy_bin(heap, size, view)];
    return first == 0 ? heap->end : policy_block(heap, first, &region, view);
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
                              struct policy_view view) {
    const struct policy_index *index = heap->index;
    rh_word nodes;
    if ((view.family & POLICY_ORDERED) != 0) return rank_place_before(index->places, step);
    if ((view.family & POLICY_SIZED) != 0) {
        const uint32_t below = policy_bin_below(index, policy_bin(heap, size, view));
        return below == NOWHERE ? 0 : index->last[below];
    }
    if (heap->policy.order == RH_ORDER_LIFO) return 0;
    if ((view.family & POLICY_CLASS) == 0)
        return policy_at_place(heap, rank_place_before(index->places, index->places_end), view);
    const uint32_t bin = policy_bin(heap, size, view);
    if (heap->policy.order == RH_ORDER_FIFO) return index->last[bin];
    return policy_gap_in_class(index, step, bin, &nodes);
}

/* The entries that are read to find it. */
RH_INLINE rh_word policy_gap_nodes(const struct rh_policy_heap *heap, uint32_t step, rh_word size,
                                   struct policy_view view) {
    const struct policy_index *index = heap->index;
    rh_word nodes = 0;
    if ((view.family & POLICY_ORDERED) != 0) return policy_before(index, step);
    if ((view.family & POLICY_SIZED) != 0) {
        nodes = counts_below(&index->fewer, policy_bin(heap, size, view));
        return nodes + (nodes < index->entries);
    }
    if ((view.family & POLICY_CLASS) != 0 && heap->policy.order == RH_ORDER_ADDRESS)
        policy_gap_in_class(index, step, policy_bin(heap, size, view), &nodes);
    return nodes;
}

/* --- in and out ----------------------------------------------------------------------------------
 */

/* Opens every change of an entry, as RH_VISIT does; of none it opens nothing. */
#define POLICY_MEET(heap, entry)                                                                   \
    do {                                                                                           \
        const struct policy_entry met = (entry);                                                   \
        if (met.step != 0) RH_VISIT((heap), met.region, met.block);                                \
    } while (0)

/* `previous` of none: the list's head, which a class has outside. */
RH_INLINE void policy_put_next(struct rh_policy_heap *heap, struct policy_entry previous,
                               rh_word link, struct policy_view view) {
    if (previous.step != 0)
        rh_put_next(previous.region, previous.block, link);
    else if ((view.family & POLICY_CLASS) == 0)
        heap->head = link;
}

/* Takes an entry out of the list, with the one before it. */
RH_INLINE void policy_unlink(struct rh_policy_heap *heap, struct policy_entry entry, rh_word size,
                             struct policy_entry previous, struct policy_view view) {
    policy_put_next(heap, previous, rh_next(entry.region, entry.block), view);
    policy_take(heap, entry.step, size, view);
}

/* Puts a free block into the list after `previous`, and writes its header. */
RH_INLINE void policy_link_in(struct rh_policy_heap *heap, struct policy_entry entry, rh_word size,
                              struct policy_entry previous, struct policy_view view) {
    const rh_word next = previous.step == 0 ? policy_first_of(heap, size, view)
                                            : rh_next(previous.region, previous.block);
    rh_put_header(entry.region, entry.block, next, size);
    policy_put_next(heap, previous, entry.block, view);
    policy_put(heap, entry.step, size, (view.family & POLICY_CLASS) != 0 ? previous.step : 0, view);
}

/* The same where nothing is known of the neighbours. */
static void policy_leave(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    const struct policy_view view = policy_view(heap);
    const uint32_t previous = policy_previous(heap, step, size, view);
    policy_unlink(heap, policy_entry(heap, step, view), size, policy_entry(heap, previous, view),
                  view);
}

static void policy_enter(struct rh_policy_heap *heap, uint32_t step, rh_word size) {
    const struct policy_view view = policy_view(heap);
    const uint32_t previous = policy_gap(heap, step, size, view);
    policy_link_in(heap, policy_entry(heap, step, view), size, policy_entry(heap, previous, view),
                   view);
}

/* In the order of addresses: an entry after `previous` is now another, or has another size. */
RH_INLINE void policy_shift(struct rh_policy_heap *heap, struct policy_entry entry, rh_word size,
                            struct policy_entry to, rh_word new_size, struct policy_entry previous,
                            struct policy_view view) {
    if (entry.step == to.step) {
        rh_put_size(to.region, to.block, new_size);
    } else {
        rh_put_header(to.region, to.block, rh_next(entry.region, entry.block), new_size);
        policy_put_next(heap, previous, to.block, view);
    }
    policy_move(heap, entry.step, size, to.step, new_size, view);
}
