/*
 * The checker of a policy heap, and the way back from a snapshot. A part of policy.h.
 */

/* May one entry come after another in a list? */
static bool policy_in_order(const struct rh_policy_heap *heap, uint32_t before, uint32_t after) {
    const rh_word a = policy_size_at(heap, before, policy_view(heap)),
                  b = policy_size_at(heap, after, policy_view(heap));
    if ((heap->family & POLICY_CLASS) != 0 &&
        policy_bin(heap, a, policy_view(heap)) != policy_bin(heap, b, policy_view(heap)))
        return false;
    switch (heap->policy.order) {
    case RH_ORDER_ADDRESS: return before < after;
    case RH_ORDER_SIZE: return a <= b;
    default: return true;
    }
}

struct policy_sum {
    rh_word free_size;
    uint32_t free_blocks;
};

static enum rh_status policy_check_region(const struct rh_policy_heap *heap, size_t i,
                                          struct policy_sum *sum, struct rh_fault *fault) {
    const struct rh_region *region = &heap->common.regions[i];
    const struct policy_range *range = &heap->index->ranges[i];
    const bool is_buddy = heap->policy.fit == RH_FIT_BUDDY;
    const bool coalesced = heap->policy.coalesce == RH_COALESCE_FREE;
    bool previous_free = false;
    rh_word size;
    for (rh_word block = range->start; block != range->end; block += size) {
        if (range->end - block < heap->common.header) RH_FAULT(RH_RULE_SIZE, block);
        RH_CHECK_SHADOW(region, block);
        size = rh_load(region, block + RH_SIZE_AT);
        const bool allocated = (size & RH_TOP_BIT) != 0;
        size &= ~RH_TOP_BIT;
        if (!rh_size_possible(size, heap->common.header, range->end - block) ||
            ((size & (heap->common.alignment - 1)) != 0 && size != range->end - block) ||
            (is_buddy && ((size & (size - 1)) != 0 || ((block - range->start) & (size - 1)) != 0)))
            RH_FAULT(RH_RULE_SIZE, block);
        if (allocated && rh_load(region, block) != 0) RH_FAULT(RH_RULE_LIVE_LINK, block);
        if (!allocated && coalesced &&
            (is_buddy ? policy_buddy(heap, i, policy_step(heap, i, block), size) != 0
                      : previous_free))
            RH_FAULT(RH_RULE_NOT_COALESCED, block);
        if (!allocated) sum->free_size += size, sum->free_blocks++;
        previous_free = !allocated;
    }
    return RH_OK;
}

/* Holds one list to its order; *left is how many free blocks no list has had so far. */
static enum rh_status policy_check_list(const struct rh_policy_heap *heap, rh_word block,
                                        uint32_t *left, struct rh_fault *fault) {
    uint32_t before = 0;
    for (rh_word entry = 0; block != heap->end; (*left)--) {
        const struct rh_region *region = rh_find_region(&heap->common, block);
        if (*left == 0 || region == NULL) RH_FAULT(RH_RULE_LINK, entry);
        const uint32_t step = policy_step_of(heap, block, policy_view(heap));
        if ((rh_load(region, block + RH_SIZE_AT) & RH_TOP_BIT) != 0)
            RH_FAULT(RH_RULE_NOT_FREE, block);
        if (before != 0 && !policy_in_order(heap, before, step)) RH_FAULT(RH_RULE_ORDER, block);
        before = step;
        entry = block;
        block = rh_load(region, block);
    }
    return RH_OK;
}

static enum rh_status rhp_check(struct rh_policy_heap *heap, struct rh_fault *fault) {
    struct policy_sum sum = {0, 0};
    enum rh_status status = RH_OK;
    fault->rule = RH_RULE_NONE;
    fault->address = 0;
    for (size_t i = 0; status == RH_OK && i < heap->common.region_count; i++)
        status = policy_check_region(heap, i, &sum, fault);
    uint32_t left = sum.free_blocks;
    if (status == RH_OK && (heap->family & POLICY_CLASS) == 0)
        status = policy_check_list(heap, heap->head, &left, fault);
    for (uint32_t bin = 0; status == RH_OK && (heap->family & POLICY_CLASS) != 0; bin++) {
        struct rh_region *region;
        bin = bin < heap->index->bin_count ? policy_bin_from(heap->index, bin) : NOWHERE;
        if (bin == NOWHERE) break;
        const rh_word first =
            policy_block(heap, heap->index->first[bin], &region, policy_view(heap));
        status = policy_check_list(heap, first, &left, fault);
    }
    if (status != RH_OK) return status;
    if (left != 0 || heap->index->entries != sum.free_blocks) RH_FAULT(RH_RULE_NOT_LISTED, 0);
    if (sum.free_size != heap->free_size) RH_FAULT(RH_RULE_FREE_SIZE, 0);
    return RH_OK;
}

/* --- restore -------------------------------------------------------------------------------------
 */

/* Nothing is listed any more of what set-up listed; the arena is not read. */
static void policy_empty(struct rh_policy_heap *heap) {
    for (size_t i = 0; i < heap->common.region_count; i++) {
        struct policy_part part = {0, 0, 0};
        while (policy_next_part(heap, i, &part))
            policy_take(heap, heap->index->ranges[i].first + policy_steps(heap, part.at), part.size,
                        policy_view(heap));
    }
    heap->head = heap->end;
}

struct policy_listed {
    const struct rh_snapshot *snapshot;
    size_t count;
};

static bool policy_is_next(void *context, rh_word address, rh_word size, bool allocated) {
    struct policy_listed *listed = context;
    (void)size;
    (void)allocated;
    if (listed->snapshot->free_list[listed->count] != address) return false;
    listed->count++;
    return true;
}

/* Lists the snapshot's entries, each where it goes to its place at once; false where that is not
 * the place that it had. */
static bool policy_restore_list(struct rh_policy_heap *heap, const struct rh_snapshot *snapshot) {
    const size_t count = snapshot->free_count;
    for (size_t i = 0; i < count; i++) {
        const size_t at = heap->policy.order == RH_ORDER_FIFO ? i : count - 1 - i;
        const uint64_t entry = snapshot->free_list[at];
        const size_t block = find_block(snapshot, entry);
        if (block == snapshot->block_count || snapshot->blocks[block].allocated) return false;
        struct rh_region *region = region_of_header(heap, entry);
        if (rh_next(region, (rh_word)entry) != 0) return false; /* listed twice */
        policy_enter(heap, policy_step_of(heap, (rh_word)entry, policy_view(heap)),
                     (rh_word)snapshot->blocks[block].size);
    }
    struct policy_listed listed = {snapshot, 0};
    rhp_walk_free(heap, policy_is_next, &listed);
    return listed.count == count;
}

static enum rh_status rhp_restore(struct rh_policy_heap *heap, const struct rh_snapshot *snapshot) {
    const uint64_t rover = snapshot->numbers.rover;
    restore_begin(heap);
    policy_empty(heap);
    for (size_t i = 0; heap->policy.coalesce != RH_COALESCE_NEVER && i < heap->common.region_count;
         i++) {
        const struct rh_region *region = &heap->common.regions[i];
        rh_put_header(region, rh_ff_range(region, RH_ALIGNMENT_OF(heap), RH_HEADER_OF(heap)).end, 0,
                      0);
    }
    if (!restore_blocks(heap, snapshot, policy_range_in, 0, &heap->free_size) ||
        !policy_restore_list(heap, snapshot))
        return RH_CORRUPT;
    heap->rover = 0;
    if (rover != 0) {
        const size_t block = find_block(snapshot, rover);
        if (heap->policy.fit != RH_FIT_NEXT || block == snapshot->block_count ||
            snapshot->blocks[block].allocated)
            return RH_CORRUPT;
        heap->rover = policy_step_of(heap, (rh_word)rover, policy_view(heap));
    }
    RESTORE_COUNTERS(heap, &snapshot->numbers);
    return rhp_check(heap, &heap->common.fault);
}
