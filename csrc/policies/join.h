/*
 * Buddies, and what is joined when a malloc fails. A part of policy.h.
 */

/* --- buddies -------------------------------------------------------------------------------------
 * D. E. Knuth, The Art of Computer Programming, vol. 1, 2.5 C: a block of 2^k steps lies at a
 * multiple of 2^k, and joins the block that it was once split from, and no other. Places are
 * counted from a region's first block; a region whose size is no power of two is the sum of
 * several.
 */

RH_INLINE rh_word policy_power_of(rh_word size) {
    rh_word power = 1;
    while (power < size)
        power <<= 1;
    return power;
}

/* The free block that one of a size joins, or 0. */
static uint32_t policy_buddy(const struct rh_policy_heap *heap, size_t i, uint32_t step,
                             rh_word size) {
    const struct policy_range *range = &heap->index->ranges[i];
    const struct rh_region *region = &heap->common.regions[i];
    const uint32_t steps = policy_steps(heap, size);
    const uint32_t buddy = ((step - range->first) ^ steps) + range->first;
    const rh_word block = range->origin + ((rh_word)buddy << RH_SHIFT_OF(heap));
    if (block >= range->end || range->end - block < size) return 0;
    return rh_size(region, block) == size ? buddy : 0;
}

static enum rh_status policy_meet_buddies(struct rh_policy_heap *heap, size_t i, uint32_t step,
                                          rh_word size) {
    const struct policy_view view = policy_view(heap);
    uint32_t buddy = 0;
    if (heap->policy.coalesce == RH_COALESCE_FREE)
        for (; (buddy = policy_buddy(heap, i, step, size)) != 0; size *= 2) {
            const struct policy_entry entry = policy_entry(heap, buddy, view);
            POLICY_MEET(heap, entry);
            POLICY_MEET(heap, policy_entry_before(heap, entry, size, view));
            if (buddy < step) step = buddy;
        }
    POLICY_MEET(heap, policy_entry(heap, policy_gap(heap, step, size, view), view));
    return RH_OK;
}

/* Joins what is free of a block with its buddies, as far as that goes; in the list it is not. */
static void policy_join_buddies(struct rh_policy_heap *heap, size_t i, uint32_t *step,
                                rh_word *size) {
    uint32_t buddy;
    while ((buddy = policy_buddy(heap, i, *step, *size)) != 0) {
        policy_leave(heap, buddy, *size);
        if (buddy < *step) *step = buddy;
        *size *= 2;
    }
}

static void policy_give_buddy(struct rh_policy_heap *heap, struct policy_entry entry,
                              rh_word size) {
    uint32_t step = entry.step;
    rh_put_size(entry.region, entry.block, size);
    if (heap->policy.coalesce == RH_COALESCE_FREE)
        policy_join_buddies(heap, policy_number(heap, entry.region, policy_view(heap)), &step,
                            &size);
    heap->nodes = policy_gap_nodes(heap, step, size, policy_view(heap));
    policy_enter(heap, step, size);
}

/* --- when a malloc fails -------------------------------------------------------------------------
 */

/* Is every header as the heap wrote it? */
static enum rh_status policy_meet_all(struct rh_policy_heap *heap) {
    for (size_t i = 0; i < heap->common.region_count; i++) {
        const struct policy_range *range = &heap->index->ranges[i];
        struct rh_region *region = &heap->common.regions[i];
        for (rh_word block = range->start; block != range->end;
             block += rh_size(region, block) & ~RH_TOP_BIT)
            RH_VISIT(heap, region, block);
    }
    return RH_OK;
}

/* Joins free blocks that adjoin, from the lowest on; what they become is listed as if it were freed
 * now. */
static bool policy_join_run(struct rh_policy_heap *heap, size_t i, rh_word *block) {
    const struct policy_range *range = &heap->index->ranges[i];
    struct rh_region *region = &heap->common.regions[i];
    const rh_word first = *block;
    rh_word size = rh_size(region, first), end = first + size;
    *block = end;
    if (end == range->end || (rh_size(region, end) & RH_TOP_BIT) != 0) return false;
    policy_leave(heap, policy_step(heap, i, first), size);
    while (end != range->end && (rh_size(region, end) & RH_TOP_BIT) == 0) {
        const rh_word more = rh_size(region, end);
        policy_leave(heap, policy_step(heap, i, end), more);
        end += more;
    }
    policy_enter(heap, policy_step(heap, i, first), end - first);
    *block = end;
    return true;
}

static bool policy_join_pair(struct rh_policy_heap *heap, size_t i, rh_word *block) {
    struct rh_region *region = &heap->common.regions[i];
    const rh_word size = rh_size(region, *block);
    const uint32_t first = policy_step(heap, i, *block);
    uint32_t step = first;
    rh_word joined = size;
    const bool joins = policy_buddy(heap, i, step, size) != 0;
    if (joins) {
        policy_leave(heap, step, size);
        policy_join_buddies(heap, i, &step, &joined);
        policy_enter(heap, step, joined);
    }
    *block = heap->index->ranges[i].origin + ((rh_word)step << RH_SHIFT_OF(heap)) + joined;
    return joins;
}

/* Joins all that can be. Whether anything was. */
static bool policy_join_all(struct rh_policy_heap *heap) {
    bool joined = false;
    heap->rover = 0;
    heap->nodes += heap->index->entries;
    for (size_t i = 0; i < heap->common.region_count; i++) {
        const struct policy_range *range = &heap->index->ranges[i];
        struct rh_region *region = &heap->common.regions[i];
        rh_word block = range->start;
        while (block != range->end) {
            const rh_word size = rh_size(region, block);
            if ((size & RH_TOP_BIT) != 0)
                block += size & ~RH_TOP_BIT;
            else if (heap->policy.fit == RH_FIT_BUDDY)
                joined |= policy_join_pair(heap, i, &block);
            else
                joined |= policy_join_run(heap, i, &block);
        }
    }
    return joined;
}
