/*
 * heap_4 and heap_5 behind struct rh_ops. A part of word_size.h.
 *
 * What the core does not have twice is one function here, too: heap_4 is heap_5 over one region.
 */

static enum rh_status heap4_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rh4_init(heap4_of(state), regions_of(state), &options);
}

static enum rh_status heap5_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rh5_init(heap4_of(state), regions_of(state), setup->region_count, &options, wrong);
}

static enum rh_status heap4_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rh4_malloc(heap4_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap5_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rh5_malloc(heap4_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap4_free(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    return rh4_free(heap4_of(state), (rh_word)address);
}

static enum rh_status heap5_free(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    return rh5_free(heap4_of(state), (rh_word)address);
}

static uint64_t heap4_free_size(const void *state) {
    return heap4_of(state)->free_size;
}

static uint64_t heap4_nodes(const void *state) {
    return heap4_of(state)->nodes;
}

static void heap4_numbers(const void *state, struct rh_numbers *n) {
    const struct rh_heap4 *heap = heap4_of(state);
    struct rh_numbers numbers = {.minimum_ever_free = heap->minimum_ever_free,
                                 .allocations = heap->allocations,
                                 .frees = heap->frees,
                                 .failed = heap->failed};
    *n = numbers;
}

static void heap4_reset_minimum(void *state) {
    heap4_of(state)->minimum_ever_free = heap4_of(state)->free_size;
}

static enum rh_status heap4_stats(void *state, struct rh_stats64 *wide) {
    struct rh_stats stats;
    return widen_stats(rh4_stats(heap4_of(state), &stats), &stats, wide);
}

static enum rh_status heap5_stats(void *state, struct rh_stats64 *wide) {
    struct rh_stats stats;
    return widen_stats(rh5_stats(heap4_of(state), &stats), &stats, wide);
}

static enum rh_status heap4_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rh4_walk(heap4_of(state), regions_of(state), widen, &w);
}

static enum rh_status heap5_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rh5_walk(heap4_of(state), regions_of(state), common_of(state)->region_count, widen, &w);
}

static enum rh_status heap4_walk_free(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rh4_walk_free(heap4_of(state), widen, &w);
}

static enum rh_status heap5_walk_free(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rh5_walk_free(heap4_of(state), widen, &w);
}

static struct rh_range heap4_range(const struct rh_common *common, const struct rh_region *region) {
    return rh_ff_range(region, common->alignment, common->header);
}

static enum rh_status heap4_check(void *state) {
    return rh4_check(heap4_of(state), regions_of(state), &common_of(state)->fault);
}

static enum rh_status heap5_check(void *state) {
    struct rh_common *common = common_of(state);
    return rh5_check(heap4_of(state), common->regions, common->region_count, &common->fault);
}

static void heap4_last_fault(void *state, struct rh_fault64 *wide) {
    const struct rh_common *common = common_of(state);
    const struct rh_region *region = rh_find_region(common, common->fault.address);
    describe(state, heap5_walk, wide);
    wide->is_marker = region != NULL && heap4_range(common, region).end == wide->address;
}

static uint64_t heap4_last_free(const void *state, uint64_t last, uint64_t payload, bool freed) {
    const struct rh_heap4 *heap = heap4_of(state);
    const struct rh_region *region = last_region(state);
    if (freed) {
        if (heap->merged < region->base) return last;
        return heap->merged + rh_size(region, heap->merged) == heap->end ? heap->merged : last;
    }
    const rh_word block = (rh_word)payload - heap->common.header;
    return block == last ? block + (rh_size(region, block) & ~RH_TOP_BIT) : last;
}

static uint64_t heap4_least_split(const void *state) {
    const struct rh_common *common = common_of(state);
    return rh_least_rest(common->header, common->alignment);
}

static uint64_t heap4_last_region_start(const void *state) {
    return heap4_range(common_of(state), last_region(state)).start;
}

#if RH_HAS_SHADOW
static enum rh_status heap4_restore(void *state, const struct rh_snapshot *snapshot) {
    struct rh_heap4 *heap = heap4_of(state);
    const struct rh_common *common = &heap->common;
    restore_begin(state);
    for (size_t i = 0; i < common->region_count; i++) {
        const struct rh_region *region = &common->regions[i];
        rh_put_header(region, heap4_range(common, region).end, heap->canary, 0);
    }
    if (!restore_blocks(state, snapshot, heap4_range, heap->canary, &heap->free_size) ||
        !restore_links(state, snapshot, heap->canary, &heap->head.next, heap->end))
        return RH_CORRUPT;
    heap->head.next ^= heap->canary;
    RESTORE_COUNTERS(heap, &snapshot->numbers);
    RH_INDEX_BUILD(heap, heap->index.state, true);
    return heap5_check(state);
}
#endif

static const char *heap4_assertion(const void *state) {
    (void)state;
    return "no free block is large enough, and with the heap protector this kernel's heap_5 then "
           "asserts";
}

#define OPS_OF_FIRST_FIT                                                                           \
    INDEX(heap4_ranked),                                                                           \
        .can_free = true, .has_need = true, .assertion = heap4_assertion,                          \
        .block = block_with_header, .verify = verify_with_header, .free_size = heap4_free_size,    \
        .nodes = heap4_nodes, .numbers = heap4_numbers, .reset_minimum = heap4_reset_minimum,      \
        .last_fault = heap4_last_fault, .last_free = heap4_last_free,                              \
        .least_split = heap4_least_split, .last_region_start = heap4_last_region_start

static const struct rh_ops heap4_ops = {
    OPS_OF_ALL,
    OPS_OF_FIRST_FIT,
    RESTORE(heap4_restore),
    .kind = 4,
    .init = heap4_init,
    .malloc = heap4_malloc,
    .free = heap4_free,
    .stats = heap4_stats,
    .walk = heap4_walk,
    .walk_free = heap4_walk_free,
    .check = heap4_check,
};

static const struct rh_ops heap5_ops = {
    OPS_OF_ALL,           OPS_OF_FIRST_FIT,   RESTORE(heap4_restore),       .kind = 5,
    .has_regions = true,  .init = heap5_init, .malloc = heap5_malloc,       .free = heap5_free,
    .stats = heap5_stats, .walk = heap5_walk, .walk_free = heap5_walk_free, .check = heap5_check,
};
