/*
 * malloc and free of a policy heap. A part of policy.h.
 */

/* --- which block ---------------------------------------------------------------------------------
 */

static uint32_t policy_find_in_tree(struct rh_policy_heap *heap, uint32_t steps, rh_word *nodes) {
    const struct policy_index *index = heap->index;
    const bool starts = heap->policy.fit == RH_FIT_NEXT && heap->rover != 0;
    const uint32_t start = starts ? policy_place(heap, heap->rover) : 0;
    uint32_t place = starts ? tallest_from(&index->tallest, start, steps)
                            : tallest_first(&index->tallest, steps);
    if (place == NOWHERE && starts) place = tallest_first(&index->tallest, steps);
    *nodes = index->entries;
    if (place == NOWHERE) return 0;
    *nodes = policy_before(index, place) + 1;
    if (starts) *nodes -= policy_before(index, start);
    if (place < start) *nodes += index->entries;
    return policy_at_place(heap, place);
}

static uint32_t policy_find_in_bins(struct rh_policy_heap *heap, rh_word wanted, rh_word *nodes) {
    const struct policy_index *index = heap->index;
    const bool by_class = policy_by_class(&heap->policy);
    uint32_t bin;
    if (heap->policy.fit == RH_FIT_WORST) {
        bin = policy_bin_below(index, index->bin_count);
        if (bin != NOWHERE && bin < policy_bin(heap, wanted)) bin = NOWHERE;
    } else {
        bin = policy_bin_from(index, policy_bin_for(heap, wanted));
    }
    *nodes = by_class ? bin != NOWHERE : index->entries;
    if (bin == NOWHERE) return 0;
    if (policy_by_size(&heap->policy) && !by_class && heap->policy.fit != RH_FIT_WORST)
        *nodes = counts_below(&index->fewer, bin) + 1;
    return index->first[bin];
}

static uint32_t policy_find(struct rh_policy_heap *heap, rh_word wanted, rh_word *nodes) {
    return policy_has_tree(&heap->policy)
               ? policy_find_in_tree(heap, policy_steps(heap, wanted), nodes)
               : policy_find_in_bins(heap, wanted, nodes);
}

/* --- taking --------------------------------------------------------------------------------------
 */

/* What a malloc takes. */
struct policy_fit {
    uint32_t step; /* of the free block */
    rh_word size;
    rh_word wanted;
    uint32_t taken; /* the step of what is handed out */
    uint32_t rest;
    rh_word rest_size; /* 0: nothing is left in the list */
};

/* Everything whose bytes the malloc changes, before it does. */
static enum rh_status policy_meet_fit(struct rh_policy_heap *heap, const struct policy_fit *fit) {
    struct policy_gap gap;
    POLICY_MEET(heap, fit->step);
    POLICY_MEET(heap, policy_previous(heap, fit->step, fit->size));
    if (fit->rest_size == 0 || policy_stays(heap)) return RH_OK;
    if (heap->policy.fit == RH_FIT_BUDDY) {
        for (rh_word half = fit->size / 2; half >= fit->wanted; half /= 2) {
            policy_find_gap(heap, fit->step + policy_steps(heap, half), half, &gap);
            POLICY_MEET(heap, gap.previous);
        }
        return RH_OK;
    }
    policy_find_gap(heap, fit->rest, fit->rest_size, &gap);
    if (gap.previous == fit->step) return RH_OK; /* and then it is the one before that */
    POLICY_MEET(heap, gap.previous);
    return RH_OK;
}

/* The halves that a buddy is split into, from the upper one on. */
static void policy_halve(struct rh_policy_heap *heap, const struct policy_fit *fit) {
    for (rh_word half = fit->size / 2; half >= fit->wanted; half /= 2)
        policy_link_in(heap, fit->step + policy_steps(heap, half), half);
}

static rh_word policy_cut(struct rh_policy_heap *heap, const struct policy_fit *fit) {
    rh_word nodes = 0;
    if (heap->policy.fit == RH_FIT_NEXT)
        heap->rover = policy_step_of(heap, policy_next_of(heap, fit->step));
    if (policy_stays(heap) && fit->rest_size != 0) {
        policy_shift(heap, fit->step, fit->size, fit->rest, fit->rest_size);
        if (heap->policy.fit == RH_FIT_NEXT) heap->rover = fit->rest;
        return 0;
    }
    policy_unlink(heap, fit->step, fit->size);
    if (heap->policy.fit == RH_FIT_BUDDY)
        policy_halve(heap, fit);
    else if (fit->rest_size != 0)
        nodes = policy_link_in(heap, fit->rest, fit->rest_size);
    return nodes;
}

/* What is handed out, and what is left. An odd size has its odd bytes at its end, which go with
 * what is there. */
static void policy_divide(const struct rh_policy_heap *heap, struct policy_fit *fit) {
    fit->size = policy_size_at(heap, fit->step);
    fit->rest_size = fit->size - fit->wanted;
    fit->taken = fit->rest = fit->step;
    if (heap->policy.fit != RH_FIT_BUDDY && fit->rest_size <= heap->split_above) {
        fit->rest_size = 0;
    } else if (heap->policy.cut_end) {
        fit->rest_size = rh_down(fit->rest_size, heap->common.alignment);
        fit->taken += policy_steps(heap, fit->rest_size);
    } else {
        fit->rest += policy_steps(heap, fit->wanted);
    }
}

static enum rh_status policy_serve(struct rh_policy_heap *heap, struct policy_fit *fit,
                                   rh_word *address) {
    struct rh_region *region;
    policy_divide(heap, fit);
    const rh_word used = fit->size - fit->rest_size;
    const enum rh_status status = policy_meet_fit(heap, fit);
    if (status != RH_OK) return status;

    heap->nodes += policy_cut(heap, fit);
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
    size_t region;
    uint32_t step;
    rh_word size;
    uint32_t previous;
    rh_word previous_size;
    uint32_t next;
    rh_word next_size;
};

static void policy_neighbours(const struct rh_policy_heap *heap, struct policy_gift *gift) {
    const struct policy_range *range = &heap->index->ranges[gift->region];
    const struct rh_region *region = &heap->common.regions[gift->region];
    gift->previous = gift->next = 0;
    gift->previous_size = gift->next_size = 0;
    if (heap->policy.coalesce != RH_COALESCE_FREE) return;
    gift->previous = heap->index->ends[gift->step - 1];
    if (gift->previous != 0) gift->previous_size = policy_size_at(heap, gift->previous);
    const uint32_t after = gift->step + policy_steps(heap, gift->size);
    const rh_word next = range->start + ((rh_word)(after - range->first) << RH_SHIFT_OF(heap));
    if (next == range->end) return;
    const rh_word size = rh_size(region, next);
    if ((size & RH_TOP_BIT) != 0) return;
    gift->next = after;
    gift->next_size = size;
}

/* Everything whose bytes the free changes, before it does. */
static enum rh_status policy_meet_gift(struct rh_policy_heap *heap,
                                       const struct policy_gift *gift) {
    struct policy_gap gap;
    POLICY_MEET(heap, gift->previous);
    POLICY_MEET(heap, gift->next);
    if (policy_stays(heap)) {
        if (gift->previous == 0)
            POLICY_MEET(heap, policy_previous(heap, gift->next != 0 ? gift->next : gift->step, 0));
        return RH_OK;
    }
    if (gift->previous != 0)
        POLICY_MEET(heap, policy_previous(heap, gift->previous, gift->previous_size));
    if (gift->next != 0) POLICY_MEET(heap, policy_previous(heap, gift->next, gift->next_size));
    policy_find_gap(heap, gift->previous != 0 ? gift->previous : gift->step,
                    gift->previous_size + gift->size + gift->next_size, &gap);
    /* What it joins leaves the list first. */
    while (gap.previous != 0 && (gap.previous == gift->previous || gap.previous == gift->next))
        gap.previous = policy_previous(heap, gap.previous, policy_size_at(heap, gap.previous));
    POLICY_MEET(heap, gap.previous);
    return RH_OK;
}

/* In the order of addresses the list is as heap_4's. */
static void policy_join_in_place(struct rh_policy_heap *heap, const struct policy_gift *gift) {
    const rh_word size = gift->size + gift->next_size;
    heap->nodes = policy_before(heap->index, gift->step) + (gift->next != 0);
    if (gift->previous != 0) {
        if (gift->next != 0) policy_unlink(heap, gift->next, gift->next_size);
        policy_shift(heap, gift->previous, gift->previous_size, gift->previous,
                     gift->previous_size + size);
    } else if (gift->next != 0) {
        policy_shift(heap, gift->next, gift->next_size, gift->step, size);
    } else {
        policy_link_in(heap, gift->step, size);
    }
}

static void policy_join(struct rh_policy_heap *heap, const struct policy_gift *gift) {
    const uint32_t step = gift->previous != 0 ? gift->previous : gift->step;
    struct rh_region *region;
    const rh_word block = policy_block(heap, gift->step, &region);
    /* A header that is swallowed says no more that its block is allocated. */
    if (gift->previous != 0) rh_put_size(region, block, gift->size);
    if (heap->rover != 0 && (heap->rover == gift->previous || heap->rover == gift->next))
        heap->rover = step;
    if (policy_stays(heap)) {
        policy_join_in_place(heap, gift);
        return;
    }
    if (gift->previous != 0) policy_unlink(heap, gift->previous, gift->previous_size);
    if (gift->next != 0) policy_unlink(heap, gift->next, gift->next_size);
    heap->nodes = policy_link_in(heap, step, gift->previous_size + gift->size + gift->next_size);
}
