/*
 * A policy heap behind struct rh_ops. A part of word_size.h.
 */

static struct rh_policy_heap *policy_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.policy;
}

static enum rh_status policy_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rhp_init(policy_of(state), regions_of(state), setup->region_count, &options,
                    setup->policy, wrong);
}

static void policy_end(void *state) {
    policy_drop(policy_of(state)->index);
}

static enum rh_status policy_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rhp_malloc(policy_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status policy_free(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    return rhp_free(policy_of(state), (rh_word)address);
}

static enum rh_status policy_meets(void *state, uint64_t payload) {
    return rhp_meets(policy_of(state), (rh_word)payload);
}

static uint64_t policy_free_size(const void *state) {
    return policy_of(state)->free_size;
}

static uint64_t policy_nodes(const void *state) {
    return policy_of(state)->nodes;
}

static void policy_numbers(const void *state, struct rh_numbers *n) {
    const struct rh_policy_heap *heap = policy_of(state);
    struct rh_region *region;
    struct rh_numbers numbers = {.minimum_ever_free = heap->minimum_ever_free,
                                 .allocations = heap->allocations,
                                 .frees = heap->frees,
                                 .failed = heap->failed};
    if (heap->rover != 0)
        numbers.rover = policy_block(heap, heap->rover, &region, policy_view(heap));
    *n = numbers;
}

static void policy_reset_minimum(void *state) {
    policy_of(state)->minimum_ever_free = policy_of(state)->free_size;
}

static enum rh_status policy_stats(void *state, struct rh_stats64 *wide) {
    struct rh_stats stats;
    return widen_stats(rhp_stats(policy_of(state), &stats), &stats, wide);
}

static enum rh_status policy_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rhp_walk(policy_of(state), widen, &w);
}

static enum rh_status policy_walk_free(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rhp_walk_free(policy_of(state), widen, &w);
}

static enum rh_status policy_check(void *state) {
    return rhp_check(policy_of(state), &common_of(state)->fault);
}

static void policy_last_fault(void *state, struct rh_fault64 *wide) {
    describe(state, policy_walk, wide);
}

static enum rh_status policy_restore(void *state, const struct rh_snapshot *snapshot) {
    return rhp_restore(policy_of(state), snapshot);
}

static const char *policy_assertion(const void *state) {
    (void)state;
    return "no policy asserts anything";
}

static const struct rh_ops policy_ops = {
    OPS_OF_ALL,
    RESTORE(policy_restore),
    .index = NULL,
    .kind = RH_KIND_POLICY,
    .can_free = true,
    .has_regions = true,
    .has_end_marker = true,
    .init = policy_init,
    .end = policy_end,
    .malloc = policy_malloc,
    .free = policy_free,
    .meets = policy_meets,
    .assertion = policy_assertion,
    .block = block_with_header,
    .verify = verify_with_header,
    .free_size = policy_free_size,
    .nodes = policy_nodes,
    .numbers = policy_numbers,
    .reset_minimum = policy_reset_minimum,
    .stats = policy_stats,
    .walk = policy_walk,
    .walk_free = policy_walk_free,
    .check = policy_check,
    .last_fault = policy_last_fault,
};
