/*
 * heap_3, newlib-nano's malloc, behind struct rh_ops. A part of word_size.h, for 32 bits.
 */

static struct rh_nano *heap3_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.nano;
}

static enum rh_status heap3_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rhn_init(heap3_of(state), regions_of(state));
}

static enum rh_status heap3_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rhn_malloc(heap3_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap3_free(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    return rhn_free(heap3_of(state), (rh_word)address);
}

static struct rh_block heap3_block(const void *state, uint64_t payload) {
    const rh_word chunk = rhn_chunk(heap3_of(state), (rh_word)payload);
    struct rh_block found = {chunk, rh_get(regions_of(state), chunk), true};
    return found;
}

static enum rh_status heap3_verify(void *state, uint64_t payload) {
#if RH_HAS_SHADOW
    const rh_word chunk = rhn_chunk(heap3_of(state), (rh_word)payload);
    if (!nano_live_intact(regions_of(state), chunk)) return rh_overwritten(common_of(state), chunk);
#else
    (void)state;
    (void)payload;
#endif
    return RH_OK;
}

static uint64_t heap3_free_size(const void *state) {
    return heap3_of(state)->free_size;
}

static uint64_t heap3_nodes(const void *state) {
    return heap3_of(state)->nodes;
}

static void heap3_numbers(const void *state, struct rh_numbers *n) {
    const struct rh_nano *heap = heap3_of(state);
    struct rh_numbers numbers = {
        heap->minimum_ever_free, heap->allocations, heap->frees, heap->failed,
        heap->reached,           nano_rest(heap)};
    *n = numbers;
}

static void heap3_reset_minimum(void *state) {
    heap3_of(state)->minimum_ever_free = heap3_of(state)->free_size;
}

static enum rh_status heap3_stats(void *state, struct rh_stats64 *wide) {
    struct rh_stats stats;
    return widen_stats(rhn_stats(heap3_of(state), &stats), &stats, wide);
}

static enum rh_status heap3_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rhn_walk(heap3_of(state), widen, &w);
}

static enum rh_status heap3_walk_free(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rhn_walk_free(heap3_of(state), widen, &w);
}

static enum rh_status heap3_check(void *state) {
    return rhn_check(heap3_of(state), &common_of(state)->fault);
}

static void heap3_last_fault(void *state, struct rh_fault64 *wide) {
    describe(state, heap3_walk, wide);
}

#if RH_HAS_SHADOW
static enum rh_status heap3_restore(void *state, const struct rh_snapshot *snapshot) {
    struct rh_nano *heap = heap3_of(state);
    struct rh_region *region = regions_of(state);
    RESTORE_COUNTERS(heap, &snapshot->numbers);
    restore_begin(state);
    if (snapshot->numbers.reached > region->size) return RH_CORRUPT;
    heap->reached = (rh_word)snapshot->numbers.reached;
    heap->free_size = region->size - heap->reached;
    heap->lowest = 0;
    /* From the first chunk on, which sbrk's alignment may have moved, all adjoin up to the break.
     */
    rh_word chunk = 0;
    const rh_word end = nano_break(heap);
    for (size_t i = 0; i < snapshot->block_count; i++) {
        const struct rh_block *block = &snapshot->blocks[i];
        if (i == 0) {
            if (region_of_header(state, block->address) == NULL || block->address % 4 != 0 ||
                (rh_word)block->address - region->base >= heap->reached)
                return RH_CORRUPT;
            chunk = heap->lowest = (rh_word)block->address;
        }
        if (block->address != chunk || block->size < NANO_LEAST || block->size % 4 != 0 ||
            block->size > end - chunk)
            return RH_CORRUPT;
        const rh_word payload = nano_payload(chunk);
        rh_put(region, chunk, (rh_word)block->size);
        if (!block->allocated) {
            heap->free_size += (rh_word)block->size;
        } else {
            if (payload != chunk + 4) rh_put(region, chunk + 4, NANO_MINUS_4);
            if (!restore_live(state, region, payload)) return RH_CORRUPT;
        }
        chunk += (rh_word)block->size;
    }
    if (heap->lowest != 0 && chunk != end) return RH_CORRUPT;
    heap->first = 0;
    for (size_t i = snapshot->free_count; i-- > 0;) {
        const size_t block = find_block(snapshot, snapshot->free_list[i]);
        if (block == snapshot->block_count || snapshot->blocks[block].allocated) return RH_CORRUPT;
        rh_put(region, (rh_word)snapshot->free_list[i] + 4, heap->first);
        heap->first = (rh_word)snapshot->free_list[i];
    }
    if (!restore_ever(state, snapshot)) return RH_CORRUPT;
    return heap3_check(state);
}
#endif

static const struct rh_ops heap3_ops = {
    OPS_OF_ALL,
    RESTORE(heap3_restore),
    .kind = 3,
    .can_free = true,
    .zero_size_is_live = true,
    .only_alignment = RH_NANO_ALIGNMENT,
    .init = heap3_init,
    .malloc = heap3_malloc,
    .free = heap3_free,
    .block = heap3_block,
    .verify = heap3_verify,
    .free_size = heap3_free_size,
    .nodes = heap3_nodes,
    .numbers = heap3_numbers,
    .reset_minimum = heap3_reset_minimum,
    .stats = heap3_stats,
    .walk = heap3_walk,
    .walk_free = heap3_walk_free,
    .check = heap3_check,
    .last_fault = heap3_last_fault,
};
