/*
 * heap_2 behind struct rh_ops. A part of word_size.h.
 */

static enum rh_status heap2_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rh2_init(heap2_of(state), regions_of(state), &options);
}

static enum rh_status heap2_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rh2_malloc(heap2_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap2_free(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    return rh2_free(heap2_of(state), (rh_word)address);
}

static uint64_t heap2_free_size(const void *state) {
    return heap2_of(state)->free_size;
}

static uint64_t heap2_nodes(const void *state) {
    return heap2_of(state)->nodes;
}

static void heap2_numbers(const void *state, struct rh_numbers *n) {
    const struct rh_heap2 *heap = heap2_of(state);
    struct rh_numbers numbers = {.minimum_ever_free = heap->minimum_ever_free,
                                 .allocations = heap->allocations,
                                 .frees = heap->frees,
                                 .failed = heap->failed};
    *n = numbers;
}

static void heap2_reset_minimum(void *state) {
    heap2_of(state)->minimum_ever_free = heap2_of(state)->free_size;
}

static enum rh_status heap2_stats(void *state, struct rh_stats64 *wide) {
    struct rh_stats stats;
    return widen_stats(rh2_stats(heap2_of(state), &stats), &stats, wide);
}

static enum rh_status heap2_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rh2_walk(heap2_of(state), regions_of(state), widen, &w);
}

static enum rh_status heap2_walk_free(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rh2_walk_free(heap2_of(state), widen, &w);
}

static enum rh_status heap2_check(void *state) {
    return rh2_check(heap2_of(state), regions_of(state), &common_of(state)->fault);
}

static void heap2_last_fault(void *state, struct rh_fault64 *wide) {
    describe(state, heap2_walk, wide);
}

#if RH_HAS_SHADOW
static struct rh_range heap2_range(const struct rh_common *common, const struct rh_region *region) {
    return rh2_range(region, common->alignment, (common->old & RH_OLD_START) != 0);
}

static enum rh_status heap2_restore(void *state, const struct rh_snapshot *snapshot) {
    struct rh_heap2 *heap = heap2_of(state);
    restore_begin(state);
    if (!restore_blocks(state, snapshot, heap2_range, 0, &heap->free_size) ||
        !restore_links(state, snapshot, 0, &heap->head.next, heap->end_marker))
        return RH_CORRUPT;
    RESTORE_COUNTERS(heap, &snapshot->numbers);
    return heap2_check(state);
}
#endif

static const char *heap2_assertion(const void *state) {
    (void)state;
    return "the block's size wraps to less than a header in this kernel's heap_2, which then "
           "damages its list";
}

static const struct rh_ops heap2_ops = {
    OPS_OF_ALL,
    RESTORE(heap2_restore),
    INDEX(heap2_ranked),
    .kind = 2,
    .can_free = true,
    .has_end_marker = true,
    .list_by_size = true,
    .init = heap2_init,
    .malloc = heap2_malloc,
    .free = heap2_free,
    .assertion = heap2_assertion,
    .block = block_with_header,
    .verify = verify_with_header,
    .free_size = heap2_free_size,
    .nodes = heap2_nodes,
    .numbers = heap2_numbers,
    .reset_minimum = heap2_reset_minimum,
    .stats = heap2_stats,
    .walk = heap2_walk,
    .walk_free = heap2_walk_free,
    .check = heap2_check,
    .last_fault = heap2_last_fault,
};
