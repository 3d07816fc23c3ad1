/*
 * malloc and free of a policy heap. A part of policy.h.
 */

/* --- which block ---------------------------------------------------------------------------------
 */

/* The first entry of a chunk, from `place` on, that is large enough: its place; NOWHERE: none. */
RH_INLINE uint32_t policy_fit_in_chunk(const struct rh_policy_heap *heap, uint32_t place,
                                       rh_word wanted, rh_word *nodes, struct policy_view view) {
    const uint64_t *words = heap->index->places->bits[0];
    for (uint64_t bits = words[place / 64] & ~(uint64_t)0 << place % 64; bits != 0;
         bits &= bits - 1) {
        place = (place & ~63u) + RANK_LOWEST(bits);
        ++*nodes;
        if (policy_size_at(heap, policy_at_place(heap, place, view), view) >= wanted) return place;
    }
    return NOWHERE;
}

/* The entry that serves a request, or 0. */
RH_INLINE uint32_t policy_find_first(struct rh_policy_heap *heap, rh_word wanted,
                                     struct policy_view view) {
    const struct rh_rank *places = heap->index->places;
    rh_word nodes = 0;
    const uint32_t chunk = rank_first_fit(places, policy_steps(heap, wanted), &nodes);
    if (chunk == NOWHERE) {
        heap->nodes += heap->index->entries;
        return 0;
    }
    const uint32_t place = policy_fit_in_chunk(heap, chunk * 64, wanted, &nodes, view);
    heap->nodes += nodes;
    return policy_at_place(heap, place, view);
}

/* From the entry on where the last search ended. */
RH_SHARED uint32_t policy_find_next(struct rh_policy_heap *heap, rh_word wanted) {
    const struct policy_index *index = heap->index;
    const struct policy_view view = policy_view(heap);
    const uint32_t start = policy_place(heap, heap->rover, view);
    const uint32_t passed = policy_before(index, start);
    rh_word nodes = 0;
    uint32_t place = policy_fit_in_chunk(heap, start, wanted, &nodes, view);
    if (place == NOWHERE) {
        const uint32_t chunk =
            rank_fit_from(index->places, start / 64 + 1, policy_steps(heap, wanted));
        if (chunk != NOWHERE) place = policy_fit_in_chunk(heap, chunk * 64, wanted, &nodes, view);
    }
    if (place != NOWHERE) {
        heap->nodes += policy_before(index, place) + 1 - passed;
        return policy_at_place(heap, place, view);
    }
    const uint32_t first = policy_find_first(heap, wanted, view);
    if (first != 0) heap->nodes += index->entries - passed;
    return first;
}

RH_INLINE uint32_t policy_find_in_bins(struct rh_policy_heap *heap, rh_word wanted,
                                       struct policy_view view) {
    const struct policy_index *index = heap->index;
    uint32_t bin;
    if (heap->policy.fit == RH_FIT_WORST) {
        bin = policy_bin_below(index, index->bin_count);
        if (bin != NOWHERE && bin < policy_bin(heap, wanted, view)) bin = NOWHERE;
    } else {
        bin = policy_bin_from(index, policy_bin_for(heap, wanted, view));
    }
    if ((view.family & POLICY_CLASS) != 0)
        heap->nodes += bin != NOWHERE;
    else if ((view.family & POLICY_SIZED) == 0 || heap->policy.fit == RH_FIT_WORST ||
             bin == NOWHERE)
        heap->nodes += index->entries;
    else
        heap->nodes += counts_below(&index->fewer, bin) + 1;
    return bin == NOWHERE ? 0 : index->first[bin];
}

RH_INLINE uint32_t policy_find(struct rh_policy_heap *heap, rh_word wanted,
                               struct policy_view view) {
    if ((view.family & POLICY_TREE) == 0) return policy_find_in_bins(heap, wanted, view);
    if (heap->rover != 0) return policy_find_next(heap, wanted);
    return policy_find_first(heap, wanted, view);
}

/* --- taking --------------------------------------------------------------------------------------
 */

/* What a malloc takes. */
struct policy_fit {
    struct policy_entry entry;
    rh_word size;
    rh_word wanted;
    rh_word taken; /* the address of what is handed out */
    rh_word rest;
    rh_word rest_size;            /* 0: nothing is left in the list */
    struct policy_entry previous; /* in the list */
    struct policy_entry gap;      /* of the rest, where it has another place than the block */
};

RH_INLINE bool policy_halves(const struct rh_policy_heap *heap, struct policy_view view) {
    return (view.family & POLICY_CLASS) != 0 && heap->policy.fit == RH_FIT_BUDDY;
}

RH_INLINE struct policy_entry policy_rest(const struct rh_policy_heap *heap,
                                          const struct policy_fit *fit) {
    const struct policy_entry rest = {fit->entry.step +
                                          policy_steps(heap, fit->rest - fit->entry.block),
                                      fit->rest, fit->entry.region};
    return rest;
}

/* Of the halves that a buddy is split into, from the upper one on. */
RH_SHARED enum rh_status policy_meet_halves(struct rh_policy_heap *heap, uint32_t step,
                                            rh_word size, rh_word wanted) {
    const struct policy_view view = policy_view(heap);
    for (rh_word half = size / 2; half >= wanted; half /= 2) {
        const uint32_t gap = policy_gap(heap, step + policy_steps(heap, half), half, view);
        POLICY_MEET(heap, policy_entry(heap, gap, view));
    }
    return RH_OK;
}

RH_SHARED void policy_halve(struct rh_policy_heap *heap, uint32_t step, rh_word size,
                            rh_word wanted) {
    for (rh_word half = size / 2; half >= wanted; half /= 2)
        policy_enter(heap, step + policy_steps(heap, half), half);
}

/* Everything whose bytes the malloc changes, before it does. */
RH_INLINE enum rh_status policy_meet_fit(struct rh_policy_heap *heap, struct policy_fit *fit,
                                         struct policy_view view) {
    const uint32_t step = fit->entry.step;
    POLICY_MEET(heap, fit->entry);
    fit->previous = policy_entry(heap, policy_previous(heap, step, fit->size, view), view);
    POLICY_MEET(heap, fit->previous);
    if (fit->rest_size == 0 || (view.family & POLICY_ORDERED) != 0) return RH_OK;
    if (policy_halves(heap, view)) return policy_meet_halves(heap, step, fit->size, fit->wanted);
    const uint32_t gap = policy_gap(heap, policy_rest(heap, fit).step, fit->rest_size, view);
    fit->gap = fit->previous;
    if (gap == step) return RH_OK; /* which leaves the list first */
    fit->gap = policy_entry(heap, gap, view);
    POLICY_MEET(heap, fit->gap);
    return RH_OK;
}

RH_INLINE void policy_cut(struct rh_policy_heap *heap, const struct policy_fit *fit,
                          struct policy_view view) {
    const struct policy_entry rest = policy_rest(heap, fit);
    if (heap->policy.fit == RH_FIT_NEXT)
        heap->rover = policy_step_of(heap, rh_next(fit->entry.region, fit->entry.block), view);
    if ((view.family & POLICY_ORDERED) != 0 && fit->rest_size != 0) {
        policy_shift(heap, fit->entry, fit->size, rest, fit->rest_size, fit->previous, view);
        if (heap->policy.fit == RH_FIT_NEXT) heap->rover = rest.step;
        return;
    }
    policy_unlink(heap, fit->entry, fit->size, fit->previous, view);
    if (policy_halves(heap, view)) {
        policy_halve(heap, fit->entry.step, fit->size, fit->wanted);
    } else if (fit->rest_size != 0) {
        heap->nodes += policy_gap_nodes(heap, rest.step, fit->rest_size, view);
        policy_link_in(heap, rest, fit->rest_size, fit->gap, view);
    }
}

/* What is handed out, and what is left. An odd size has its odd bytes at its end, which go with
 * what is there. */
RH_INLINE void policy_divide(const struct rh_policy_heap *heap, struct policy_fit *fit,
                             struct policy_view view) {
    fit->rest_size = fit->size - fit->wanted;
    fit->taken = fit->rest = fit->entry.block;
    if (!policy_halves(heap, view) && fit->rest_size <= heap->split_above) {
        fit->rest_size = 0;
    } else if (heap->policy.cut_end) {
        fit->rest_size = rh_down(fit->rest_size, heap->common.alignment);
        fit->taken += fit->rest_size;
    } else {
        fit->rest += fit->wanted;
    }
}

RH_INLINE enum rh_status policy_serve(struct rh_policy_heap *heap, struct policy_fit *fit,
                                      rh_word *address, struct policy_view view) {
    struct rh_region *region = fit->entry.region;
    policy_divide(heap, fit, view);
    const rh_word used = fit->size - fit->rest_size;
    const enum rh_status status = policy_meet_fit(heap, fit, view);
    if (status != RH_OK) return status;

    policy_cut(heap, fit, view);
    rh_put_header(region, fit->taken, 0, used | RH_TOP_BIT);
    const rh_word left = heap->free_size - used;
    heap->free_size = left;
    RH_LOWER_MINIMUM(heap, left);
    RH_COUNT_ALLOCATION(heap);
    *address = fit->taken + heap->common.header;
    RH_MARK_LIVE(heap, region, *address);
    return RH_OK;
}

/* --- giving back ---------------------------------------------------------------------------------
 */

/* A block that is given back, and the free ones that it joins. */
struct policy_gift {
    struct policy_entry entry;
    rh_word size;
    struct policy_entry previous;
    rh_word previous_size;
    struct policy_entry next;
    rh_word next_size;
    struct policy_entry before_previous; /* in the list */
    struct policy_entry before_next;
    struct policy_entry gap; /* before what they become */
};

RH_INLINE size_t policy_number(const struct rh_policy_heap *heap, const struct rh_region *region,
                               struct policy_view view) {
    return (view.family & POLICY_ONE) != 0 ? 0 : (size_t)(region - heap->common.regions);
}

/* In the order of addresses the block before is that before in the list. */
RH_INLINE void policy_neighbours(const struct rh_policy_heap *heap, struct policy_gift *gift,
                                 struct policy_view view) {
    const bool is_ordered = (view.family & POLICY_ORDERED) != 0;
    const uint32_t step = gift->entry.step;
    const rh_word after = gift->entry.block + gift->size;
    if (is_ordered) gift->gap = policy_entry(heap, policy_gap(heap, step, 0, view), view);
    if (heap->policy.coalesce != RH_COALESCE_FREE) return;
    const struct policy_entry previous =
        is_ordered ? gift->gap : policy_entry(heap, heap->index->ends[step - 1], view);
    if (previous.step != 0) {
        const rh_word size = rh_size(previous.region, previous.block);
        if (previous.step + policy_steps(heap, size) == step) {
            gift->previous = previous;
            gift->previous_size = size;
        }
    }
    const size_t i = policy_number(heap, gift->entry.region, view);
    if (after == heap->index->ranges[i].end) return;
    const rh_word size = rh_size(gift->entry.region, after);
    if ((size & RH_TOP_BIT) != 0) return;
    gift->next.step = step + policy_steps(heap, gift->size);
    gift->next.block = after;
    gift->next.region = gift->entry.region;
    gift->next_size = size;
}

/* The one before an entry that may be none. */
RH_INLINE struct policy_entry policy_entry_before(const struct rh_policy_heap *heap,
                                                  struct policy_entry entry, rh_word size,
                                                  struct policy_view view) {
    if (entry.step != 0) entry.step = policy_previous(heap, entry.step, size, view);
    return policy_entry(heap, entry.step, view);
}

/* Everything whose bytes the free changes, before it does. */
RH_INLINE enum rh_status policy_meet_gift(struct rh_policy_heap *heap, struct policy_gift *gift,
                                          struct policy_view view) {
    const uint32_t previous = gift->previous.step, next = gift->next.step;
    POLICY_MEET(heap, gift->previous);
    POLICY_MEET(heap, gift->next);
    if ((view.family & POLICY_ORDERED) != 0) {
        if (previous == 0) POLICY_MEET(heap, gift->gap);
        return RH_OK;
    }
    gift->before_previous = policy_entry_before(heap, gift->previous, gift->previous_size, view);
    POLICY_MEET(heap, gift->before_previous);
    gift->before_next = policy_entry_before(heap, gift->next, gift->next_size, view);
    POLICY_MEET(heap, gift->before_next);
    const uint32_t gap = policy_gap(heap, previous != 0 ? previous : gift->entry.step,
                                    gift->previous_size + gift->size + gift->next_size, view);
    gift->gap = policy_entry(heap, gap, view);
    /* What it joins leaves the list first. */
    while (gift->gap.step != 0 && (gift->gap.step == previous || gift->gap.step == next))
        gift->gap = gift->gap.step == previous ? gift->before_previous : gift->before_next;
    POLICY_MEET(heap, gift->gap);
    return RH_OK;
}

/* In the order of addresses the list is as heap_4's. */
RH_INLINE void policy_join_in_place(struct rh_policy_heap *heap, const struct policy_gift *gift,
                                    struct policy_view view) {
    const rh_word size = gift->size + gift->next_size;
    heap->nodes = policy_before(heap->index, gift->entry.step) + (gift->next.step != 0);
    if (gift->previous.step != 0) {
        if (gift->next.step != 0)
            policy_unlink(heap, gift->next, gift->next_size, gift->previous, view);
        policy_shift(heap, gift->previous, gift->previous_size, gift->previous,
                     gift->previous_size + size, gift->gap, view);
    } else if (gift->next.step != 0) {
        policy_shift(heap, gift->next, gift->next_size, gift->entry, size, gift->gap, view);
    } else {
        policy_link_in(heap, gift->entry, size, gift->gap, view);
    }
}

RH_INLINE void policy_join(struct rh_policy_heap *heap, const struct policy_gift *gift,
                           struct policy_view view) {
    const struct policy_entry entry = gift->previous.step != 0 ? gift->previous : gift->entry;
    const rh_word size = gift->previous_size + gift->size + gift->next_size;
    /* A header that is swallowed says no more that its block is allocated. */
    if (gift->previous.step != 0) rh_put_size(gift->entry.region, gift->entry.block, gift->size);
    if (heap->rover != 0 && (heap->rover == gift->previous.step || heap->rover == gift->next.step))
        heap->rover = entry.step;
    if ((view.family & POLICY_ORDERED) != 0) {
        policy_join_in_place(heap, gift, view);
        return;
    }
    struct policy_entry before_next = gift->before_next;
    if (gift->previous.step != 0) {
        policy_unlink(heap, gift->previous, gift->previous_size, gift->before_previous, view);
        if (before_next.step == gift->previous.step) before_next = gift->before_previous;
    }
    if (gift->next.step != 0) policy_unlink(heap, gift->next, gift->next_size, before_next, view);
    heap->nodes = policy_gap_nodes(heap, entry.step, size, view);
    policy_link_in(heap, entry, size, gift->gap, view);
}
