/*
 * heap_1 behind struct rh_ops. A part of word_size.h.
 */

static enum rh_status heap1_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rh1_init(heap1_of(state), regions_of(state), &options);
}

static enum rh_status heap1_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rh1_malloc(heap1_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap1_free(void *state, uint64_t address) {
    (void)state;
    (void)address;
    return RH_INVALID_FREE;
}

static struct rh_block heap1_block(const void *state, uint64_t payload) {
    struct rh_block found = {payload, 0, true};
#if RH_HAS_SHADOW
    found.size = rh1_block_size(heap1_of(state), (rh_word)payload);
#else
    (void)state;
#endif
    return found;
}

static uint64_t heap1_free_size(const void *state) {
    return rh1_free_size(heap1_of(state));
}

static uint64_t heap1_nodes(const void *state) {
    (void)state;
    return 0;
}

static void heap1_numbers(const void *state, struct rh_numbers *n) {
    const struct rh_heap1 *heap = heap1_of(state);
    const rh_word rest = rh1_free_size(heap); /* never freeing, it is the minimum, too */
    struct rh_numbers numbers = {.minimum_ever_free = rest,
                                 .allocations = heap->allocations,
                                 .failed = heap->failed,
                                 .rest = rest};
    *n = numbers;
}

static void heap1_reset_minimum(void *state) {
    (void)state; /* never freeing, its free size is its minimum */
}

static enum rh_status heap1_stats(void *state, struct rh_stats64 *wide) {
    const struct rh_heap1 *heap = heap1_of(state);
    const rh_word rest = rh1_free_size(heap);
    struct rh_stats stats;
    rh_stats_begin(&stats, rest);
    if (rest != 0) rh_stats_add(&stats, heap->start + heap->used, rest, false);
    stats.minimum_ever_free = rest;
    stats.allocation_count = heap->allocations;
    return widen_stats(RH_OK, &stats, wide);
}

static enum rh_status heap1_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
#if RH_HAS_SHADOW
    return rh1_walk(heap1_of(state), widen, &w);
#else
    (void)state;
    (void)w;
    return RH_OK;
#endif
}

static enum rh_status heap1_walk_free(void *state, rh_visitor64 visit, void *context) {
    const struct rh_heap1 *heap = heap1_of(state);
    const rh_word rest = rh1_free_size(heap);
    if (rest != 0) visit(context, heap->start + heap->used, rest, false);
    return RH_OK;
}

static enum rh_status heap1_check(void *state) {
    (void)state; /* nothing of the heap is in the arena */
    return RH_OK;
}

static void heap1_last_fault(void *state, struct rh_fault64 *wide) {
    describe(state, heap1_walk, wide);
}

#if RH_HAS_SHADOW
static enum rh_status heap1_restore(void *state, const struct rh_snapshot *snapshot) {
    struct rh_heap1 *heap = heap1_of(state);
    restore_begin(state);
    heap->used = 0;
    for (size_t i = 0; i < snapshot->block_count; i++) {
        const struct rh_block *block = &snapshot->blocks[i];
        if (!block->allocated || block->size == 0 || block->size % heap->common.alignment != 0 ||
            block->address != (uint64_t)heap->start + heap->used ||
            block->size >= rh1_free_size(heap) ||
            !restore_live(state, regions_of(state), (rh_word)block->address))
            return RH_CORRUPT;
        heap->used += (rh_word)block->size;
    }
    heap->allocations = (rh_word)snapshot->numbers.allocations;
    heap->failed = (rh_word)snapshot->numbers.failed;
    return RH_OK;
}
#endif

static const struct rh_ops heap1_ops = {
    OPS_OF_ALL,
    RESTORE(heap1_restore),
    .kind = 1,
    .init = heap1_init,
    .malloc = heap1_malloc,
    .free = heap1_free,
    .block = heap1_block,
    .verify = verify_nothing,
    .free_size = heap1_free_size,
    .nodes = heap1_nodes,
    .numbers = heap1_numbers,
    .reset_minimum = heap1_reset_minimum,
    .stats = heap1_stats,
    .walk = heap1_walk,
    .walk_free = heap1_walk_free,
    .check = heap1_check,
    .last_fault = heap1_last_fault,
};
