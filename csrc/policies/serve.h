/*
 * malloc and free of a policy heap. A part of policy.h.
 */

/* --- which block ---------------------------------------------------------------------------------
 */

/* What a malloc takes. */
struct policy_fit {
    uint32_t step; /* of the free block; 0: none is large enough */
    rh_word size;
    rh_word wanted;
    uint32_t previous; /* in the list */
    uint32_t taken;    /* the step of what is handed out */
    uint32_t rest;
    rh_word rest_size; /* 0: nothing is left in the list */
    uint32_t gap;      /* of the rest, where it has another place than the block */
};

/* The first entry of a chunk, from `place` on, that is large enough; NOWHERE: none. */
RH_INLINE uint32_t policy_fit_in_chunk(const struct rh_policy_heap *heap, uint32_t place,
                                       struct policy_fit *fit, rh_word *nodes, unsigned family) {
    const uint64_t *words = heap->index->places->bits[0];
    for (uint64_t bits = words[place / 64] & ~(uint64_t)0 << place % 64; bits != 0;
         bits &= bits - 1) {
        const uint32_t at = (place & ~63u) + RANK_LOWEST(bits);
        fit->step = policy_at_place(heap, at, family);
        fit->size = policy_size_at(heap, fit->step);
        ++*nodes;
        if (fit->size >= fit->wanted) return at;
    }
    return NOWHERE;
}

RH_INLINE void policy_find_first(const struct rh_policy_heap *heap, struct policy_fit *fit,
                                 rh_word *nodes, unsigned family) {
    const struct rh_rank *places = heap->index->places;
    const uint32_t chunk = rank_first_fit(places, policy_steps(heap, fit->wanted), nodes);
    fit->step = 0;
    if (chunk == NOWHERE)
        *nodes = heap->index->entries;
    else
        policy_fit_in_chunk(heap, chunk * 64, fit, nodes, family);
}

/* From the entry on where the last search ended. */
RH_SHARED void policy_find_next(const struct rh_policy_heap *heap, struct policy_fit *fit,
                                rh_word *nodes) {
    const struct policy_index *index = heap->index;
    const unsigned family = heap->family;
    const uint32_t start = policy_place(heap, heap->rover, family);
    uint32_t place = policy_fit_in_chunk(heap, start, fit, nodes, family);
    if (place == NOWHERE) {
        const uint32_t steps = policy_steps(heap, fit->wanted);
        const uint32_t chunk = rank_fit_from(index->places, start / 64 + 1, steps);
        if (chunk != NOWHERE) place = policy_fit_in_chunk(heap, chunk * 64, fit, nodes, family);
    }
    if (place != NOWHERE) {
        *nodes = policy_before(index, place) + 1 - policy_before(index, start);
        return;
    }
    policy_find_first(heap, fit, nodes, family);
    if (fit->step != 0) *nodes += index->entries - policy_before(index, start);
}

RH_INLINE void policy_find_in_bins(const struct rh_policy_heap *heap, struct policy_fit *fit,
                                   rh_word *nodes, unsigned family) {
    const struct policy_index *index = heap->index;
    uint32_t bin;
    if (heap->policy.fit == RH_FIT_WORST) {
        bin = policy_bin_below(index, index->bin_count);
        if (bin != NOWHERE && bin < policy_bin(heap, fit->wanted, family)) bin = NOWHERE;
    } else {
        bin = policy_bin_from(index, policy_bin_for(heap, fit->wanted, family));
    }
    *nodes = (family & POLICY_CLASS) != 0 ? bin != NOWHERE : index->entries;
    fit->step = 0;
    if (bin == NOWHERE) return;
    if ((family & POLICY_SIZED) != 0 && heap->policy.fit != RH_FIT_WORST)
        *nodes = counts_below(&index->fewer, bin) + 1;
    fit->step = index->first[bin];
    fit->size = policy_size_at(heap, fit->step);
}

RH_INLINE void policy_find(struct rh_policy_heap *heap, struct policy_fit *fit, unsigned family) {
    rh_word nodes = 0;
    if ((family & POLICY_TREE) == 0)
        policy_find_in_bins(heap, fit, &nodes, family);
    else if (heap->rover != 0)
        policy_find_next(heap, fit, &nodes);
    else
        policy_find_first(heap, fit, &nodes, family);
    heap->nodes += nodes;
}

/* --- taking --------------------------------------------------------------------------------------
 */

/* Everything whose bytes the malloc changes, before it does. */
RH_INLINE enum rh_status policy_meet_fit(struct rh_policy_heap *heap, struct policy_fit *fit,
                                         unsigned family) {
    POLICY_MEET(heap, fit->step);
    fit->previous = policy_previous(heap, fit->step, fit->size, family);
    POLICY_MEET(heap, fit->previous);
    if (fit->rest_size == 0 || (family & POLICY_ORDERED) != 0) return RH_OK;
    if ((family & POLICY_CLASS) != 0 && heap->policy.fit == RH_FIT_BUDDY) {
        for (rh_word half = fit->size / 2; half >= fit->wanted; half /= 2)
            POLICY_MEET(heap, policy_gap(heap, fit->step + policy_steps(heap, half), half, family));
        return RH_OK;
    }
    fit->gap = policy_gap(heap, fit->rest, fit->rest_size, family);
    if (fit->gap == fit->step) /* which leaves the list first */
        fit->gap = fit->previous;
    else
        POLICY_MEET(heap, fit->gap);
    return RH_OK;
}

/* The halves that a buddy is split into, from the upper one on. */
RH_SHARED void policy_halve(struct rh_policy_heap *heap, const struct policy_fit *fit) {
    for (rh_word half = fit->size / 2; half >= fit->wanted; half /= 2)
        policy_enter(heap, fit->step + policy_steps(heap, half), half);
}

RH_INLINE void policy_cut(struct rh_policy_heap *heap, const struct policy_fit *fit,
                          unsigned family) {
    if (heap->policy.fit == RH_FIT_NEXT)
        heap->rover = policy_step_of(heap, policy_next_of(heap, fit->step));
    if ((family & POLICY_ORDERED) != 0 && fit->rest_size != 0) {
        policy_shift(heap, fit->step, fit->size, fit->rest, fit->rest_size, fit->previous, family);
        if (heap->policy.fit == RH_FIT_NEXT) heap->rover = fit->rest;
        return;
    }
    policy_unlink(heap, fit->step, fit->size, fit->previous, family);
    if ((family & POLICY_CLASS) != 0 && heap->policy.fit == RH_FIT_BUDDY) {
        policy_halve(heap, fit);
    } else if (fit->rest_size != 0) {
        heap->nodes += policy_gap_nodes(heap, fit->rest, fit->rest_size, family);
        policy_link_in(heap, fit->rest, fit->rest_size, fit->gap, family);
    }
}

/* What is handed out, and what is left. An odd size has its odd bytes at its end, which go with
 * what is there. */
RH_INLINE void policy_divide(const struct rh_policy_heap *heap, struct policy_fit *fit,
                             unsigned family) {
    const bool halves = (family & POLICY_CLASS) != 0 && heap->policy.fit == RH_FIT_BUDDY;
    fit->rest_size = fit->size - fit->wanted;
    fit->taken = fit->rest = fit->step;
    if (!halves && fit->rest_size <= heap->split_above) {
        fit->rest_size = 0;
    } else if (heap->policy.cut_end) {
        fit->rest_size = rh_down(fit->rest_size, heap->common.alignment);
        fit->taken += policy_steps(heap, fit->rest_size);
    } else {
        fit->rest += policy_steps(heap, fit->wanted);
    }
}

RH_INLINE enum rh_status policy_serve(struct rh_policy_heap *heap, struct policy_fit *fit,
                                      rh_word *address, unsigned family) {
    struct rh_region *region;
    policy_divide(heap, fit, family);
    const rh_word used = fit->size - fit->rest_size;
    const enum rh_status status = policy_meet_fit(heap, fit, family);
    if (status != RH_OK) return status;

    policy_cut(heap, fit, family);
    const rh_word block = policy_block(heap, fit->taken, &region);
    rh_put_header(region, block, 0, used | RH_TOP_BIT);
    heap->free_size -= used;
    RH_LOWER_MINIMUM(heap, heap->free_size);
    RH_COUNT_ALLOCATION(heap);
    *address = block + heap->common.header;
    RH_MARK_LIVE(heap, region, *address);
    return RH_OK;
}

/* --- giving back ---------------------------------------------------------------------------------
 */

/* A block that is given back, and the free ones that it joins; 0: none. */
struct policy_gift {
    struct rh_region *region;
    uint32_t step;
    rh_word size;
    uint32_t previous;
    rh_word previous_size;
    uint32_t next;
    rh_word next_size;
    uint32_t before_previous; /* those before them in the list, and before what they become */
    uint32_t before_next;
    uint32_t gap;
};

RH_INLINE size_t policy_number(const struct rh_policy_heap *heap, const struct rh_region *region) {
    return (size_t)(region - heap->common.regions);
}

/* In the order of addresses the block before is that before in the list. */
RH_INLINE void policy_neighbours(const struct rh_policy_heap *heap, struct policy_gift *gift,
                                 unsigned family) {
    const bool joins = heap->policy.coalesce == RH_COALESCE_FREE;
    const uint32_t after = gift->step + policy_steps(heap, gift->size);
    gift->previous = gift->next = 0;
    gift->previous_size = gift->next_size = 0;
    if ((family & POLICY_ORDERED) != 0) gift->gap = policy_gap(heap, gift->step, 0, family);
    if (!joins) return;
    const uint32_t previous =
        (family & POLICY_ORDERED) != 0 ? gift->gap : heap->index->ends[gift->step - 1];
    if (previous != 0) {
        const rh_word size = policy_size_at(heap, previous);
        if ((family & POLICY_ORDERED) == 0 || previous + policy_steps(heap, size) == gift->step) {
            gift->previous = previous;
            gift->previous_size = size;
        }
    }
    const struct policy_range *range = &heap->index->ranges[policy_number(heap, gift->region)];
    const rh_word next = range->origin + ((rh_word)after << RH_SHIFT_OF(heap));
    if (next == range->end) return;
    const rh_word size = rh_size(gift->region, next);
    if ((size & RH_TOP_BIT) != 0) return;
    gift->next = after;
    gift->next_size = size;
}

/* Everything whose bytes the free changes, before it does. */
RH_INLINE enum rh_status policy_meet_gift(struct rh_policy_heap *heap, struct policy_gift *gift,
                                          unsigned family) {
    POLICY_MEET(heap, gift->previous);
    POLICY_MEET(heap, gift->next);
    if ((family & POLICY_ORDERED) != 0) {
        if (gift->previous == 0) POLICY_MEET(heap, gift->gap);
        return RH_OK;
    }
    if (gift->previous != 0)
        gift->before_previous = policy_previous(heap, gift->previous, gift->previous_size, family);
    POLICY_MEET(heap, gift->before_previous);
    if (gift->next != 0)
        gift->before_next = policy_previous(heap, gift->next, gift->next_size, family);
    POLICY_MEET(heap, gift->before_next);
    gift->gap = policy_gap(heap, gift->previous != 0 ? gift->previous : gift->step,
                           gift->previous_size + gift->size + gift->next_size, family);
    /* What it joins leaves the list first. */
    while (gift->gap != 0 && (gift->gap == gift->previous || gift->gap == gift->next))
        gift->gap = gift->gap == gift->previous ? gift->before_previous : gift->before_next;
    POLICY_MEET(heap, gift->gap);
    return RH_OK;
}

/* In the order of addresses the list is as heap_4's. */
RH_INLINE void policy_join_in_place(struct rh_policy_heap *heap, const struct policy_gift *gift,
                                    unsigned family) {
    const rh_word size = gift->size + gift->next_size;
    heap->nodes = policy_before(heap->index, gift->step) + (gift->next != 0);
    if (gift->previous != 0) {
        if (gift->next != 0)
            policy_unlink(heap, gift->next, gift->next_size, gift->previous, family);
        policy_shift(heap, gift->previous, gift->previous_size, gift->previous,
                     gift->previous_size + size, 0, family);
    } else if (gift->next != 0) {
        policy_shift(heap, gift->next, gift->next_size, gift->step, size, gift->gap, family);
    } else {
        policy_link_in(heap, gift->step, size, gift->gap, family);
    }
}

RH_INLINE void policy_join(struct rh_policy_heap *heap, const struct policy_gift *gift,
                           unsigned family) {
    const uint32_t step = gift->previous != 0 ? gift->previous : gift->step;
    const rh_word size = gift->previous_size + gift->size + gift->next_size;
    uint32_t before_next = gift->before_next;
    struct rh_region *region;
    const rh_word block = policy_block(heap, gift->step, &region);
    /* A header that is swallowed says no more that its block is allocated. */
    if (gift->previous != 0) rh_put_size(region, block, gift->size);
    if (heap->rover != 0 && (heap->rover == gift->previous || heap->rover == gift->next))
        heap->rover = step;
    if ((family & POLICY_ORDERED) != 0) {
        policy_join_in_place(heap, gift, family);
        return;
    }
    if (gift->previous != 0)
        policy_unlink(heap, gift->previous, gift->previous_size, gift->before_previous, family);
    if (before_next == gift->previous && before_next != 0) before_next = gift->before_previous;
    if (gift->next != 0) policy_unlink(heap, gift->next, gift->next_size, before_next, family);
    heap->nodes = policy_gap_nodes(heap, step, size, family);
    policy_link_in(heap, step, size, gift->gap, family);
}
