/*
 * A policy heap from set-up on, and what can be seen of it. A part of policy.h.
 */

/* --- set-up --------------------------------------------------------------------------------------
 */

/* Without coalescing nothing has to mark an end: the range is heap_2's. Buddies fill what is a sum
 * of their sizes. */
static struct policy_range policy_range_of(const struct rh_policy_heap *heap,
                                           const struct rh_region *region, rh_word alignment) {
    const rh_word header = rh_header_bytes(alignment);
    const struct rh_range range = heap->policy.coalesce == RH_COALESCE_NEVER
                                      ? rh2_range(region, alignment, false)
                                      : rh_ff_range(region, alignment, header);
    struct policy_range found = {range.start, range.end, 0, 0};
    if (heap->policy.fit == RH_FIT_BUDDY) {
        const rh_word least = policy_power_of(header + alignment);
        found.end = range.start + ((range.end - range.start) & ~(least - 1));
    }
    return found;
}

static struct rh_range policy_range_in(const struct rh_common *common,
                                       const struct rh_region *region) {
    const struct rh_policy_heap *heap = (const struct rh_policy_heap *)common;
    const struct policy_range *range = &heap->index->ranges[region - common->regions];
    const struct rh_range found = {range->start, range->end};
    return found;
}

static enum rh_status policy_test_regions(const struct rh_policy_heap *heap,
                                          const struct rh_region *regions, size_t count,
                                          rh_word alignment, rh_word marker, size_t *wrong) {
    rh_word taken = 0, total = 0;
    if (heap->policy.coalesce == RH_COALESCE_NEVER && (marker == 0 || marker % RH_WORD_BYTES != 0))
        return RH_BAD_MARKER;
    for (size_t i = 0; i < count; i++) {
        *wrong = i;
        const enum rh_status status = heap->policy.coalesce == RH_COALESCE_NEVER
                                          ? rh2_test_region(&regions[i], alignment)
                                          : rh5_test_region(&regions[i], taken, i + 1 == count,
                                                            alignment, rh_header_bytes(alignment));
        if (status != RH_OK) return status;
        if (regions[i].base <= taken) return RH_NOT_ASCENDING;
        const struct policy_range range = policy_range_of(heap, &regions[i], alignment);
        if (i + 1 == count && range.start == range.end) return RH_TOO_SMALL;
        if (heap->policy.coalesce == RH_COALESCE_NEVER && marker >= range.start &&
            marker < range.end)
            return RH_BAD_MARKER;
        total += range.end - range.start;
        if (total >= RH_TOP_BIT) return RH_OUT_OF_RANGE;
        taken = regions[i].base + (regions[i].size - 1);
    }
    return RH_OK;
}

/* What a region begins with: one block, or of buddies a sum of powers of two, the largest first. */
struct policy_part {
    rh_word done;
    rh_word at; /* from the range's start */
    rh_word size;
};

/* The next part, from the last on, or, where the list is first in, first out, from the first;
 * false: there is none. */
static bool policy_next_part(const struct rh_policy_heap *heap, size_t i,
                             struct policy_part *part) {
    const struct policy_range *range = &heap->index->ranges[i];
    const rh_word all = range->end - range->start, left = all - part->done;
    const bool forward = heap->policy.order == RH_ORDER_FIFO;
    if (left == 0) return false;
    part->size = left;
    if (heap->policy.fit == RH_FIT_BUDDY && forward)
        part->size = (rh_word)1 << policy_log2(left);
    else if (heap->policy.fit == RH_FIT_BUDDY)
        part->size = left & (0 - left);
    part->at = forward ? part->done : left - part->size;
    part->done += part->size;
    return true;
}

/* The lowest address comes first where the order says nothing else. */
static void policy_list_region(struct rh_policy_heap *heap, size_t i) {
    struct policy_part part = {0, 0, 0};
    while (policy_next_part(heap, i, &part))
        policy_enter(heap, heap->index->ranges[i].first + policy_steps(heap, part.at), part.size);
    heap->free_size += part.done;
}

/* A class has no order of sizes, and a rest has a header, with something behind it. */
static bool policy_makes_sense(const struct rh_policy *policy, rh_word header) {
    return policy->fit < RH_FITS && policy->order < RH_ORDERS && policy->coalesce < RH_COALESCES &&
           policy->class_bits <= RH_MOST_CLASS_BITS &&
           !(policy_by_class(policy) && policy->order == RH_ORDER_SIZE) &&
           (policy->split == 0 || policy->split >= header);
}

static void policy_choose_calls(struct rh_policy_heap *heap);

static enum rh_status rhp_init(struct rh_policy_heap *heap, struct rh_region *regions, size_t count,
                               const struct rh_options *options, const struct rh_policy *policy,
                               size_t *wrong) {
    const rh_word alignment = options->alignment;
    *wrong = 0;
    if (!rh_alignment_exists(alignment)) return RH_BAD_ALIGNMENT;
    if (!policy_makes_sense(policy, rh_header_bytes(alignment))) return RH_BAD_POLICY;
    heap->policy = *policy;
    heap->family = policy_family_of(policy) | (count == 1 ? POLICY_ONE : 0u);
    enum rh_status status =
        policy_test_regions(heap, regions, count, alignment, options->end_marker, wrong);
    if (status != RH_OK) return status;
    rh_start_common(&heap->common, regions, count, options);
    const rh_word header = heap->common.header;
    heap->split_above = 2 * header;
    if (policy->split != 0)
        heap->split_above = policy->split < RH_WORD_MAX ? (rh_word)policy->split : RH_WORD_MAX;

    struct policy_range *ranges = calloc(count, sizeof *ranges);
    if (ranges == NULL) return RH_NO_MEMORY;
    size_t odd = 0;
    for (size_t i = 0; i < count; i++) {
        ranges[i] = policy_range_of(heap, &regions[i], alignment);
        if (((ranges[i].end - ranges[i].start) & (alignment - 1)) != 0) odd++;
    }
    heap->odd_bits = odd > 1 ? heap->common.alignment_shift : (unsigned)odd;
    heap->end = options->end_marker;
    struct policy_index *made = policy_make(heap, ranges, count);
    free(ranges);
    if (made == NULL && heap->index == NULL) return RH_NO_MEMORY;
    if (made == NULL) { /* a reset: the old one serves */
        policy_clear(heap->index, policy);
    } else {
        policy_drop(heap->index);
        heap->index = made;
    }
    policy_choose_calls(heap);
    heap->origin = heap->index->ranges[0].origin;
    for (size_t i = 0; i < count && policy->coalesce != RH_COALESCE_NEVER; i++) {
        heap->end = rh_ff_range(&regions[i], alignment, header).end;
        rh_put_header(&regions[i], heap->end, 0, 0);
    }
    heap->head = heap->end;
    heap->rover = 0;
    heap->free_size = 0;
    for (size_t i = 0; i < count; i++)
        policy_list_region(heap, policy->order == RH_ORDER_FIFO ? i : count - 1 - i);
    RH_RESET_COUNTERS(heap);
    return RH_OK;
}

/* --- calls ---------------------------------------------------------------------------------------
 */

RH_INLINE enum rh_status policy_allocate(struct rh_policy_heap *heap, rh_word size,
                                         rh_word *address, struct policy_view view) {
    struct policy_fit fit = {0};
    heap->nodes = 0;
    if (size - 1 >= heap->free_size) { /* 0 wraps */
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    fit.wanted = RH_BLOCK_BYTES(heap, size);
    if (policy_halves(heap, view)) fit.wanted = policy_power_of(fit.wanted);
    if (fit.wanted > heap->free_size) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    uint32_t step = policy_find(heap, fit.wanted, view);
    if (step == 0 && heap->policy.coalesce == RH_COALESCE_DEFERRED) {
        const enum rh_status status = policy_meet_all(heap);
        if (status != RH_OK) return status;
        if (policy_join_all(heap)) step = policy_find(heap, fit.wanted, view);
    }
    if (step == 0) {
        RH_COUNT_FAILED(heap);
        return RH_FRAGMENTED;
    }
    fit.entry.step = step;
    fit.entry.block = policy_block(heap, step, &fit.entry.region, view);
    fit.size = rh_size(fit.entry.region, fit.entry.block);
    return policy_serve(heap, &fit, address, view);
}

/* A live block, with what it joins; RH_OK iff it is one, and its free would meet no damage. */
RH_INLINE enum rh_status policy_find_gift(struct rh_policy_heap *heap, rh_word address,
                                          struct policy_gift *gift, struct policy_view view) {
    const bool is_one = (view.family & POLICY_ONE) != 0;
    struct rh_region *region = is_one ? view.one : rh_find_region(&heap->common, address);
    if (is_one && !rh_inside(region, address, 1)) return RH_INVALID_FREE;
    const enum rh_status status = rh_live(region, address, RH_SHIFT_OF(heap));
    if (status != RH_OK) return status;
    const rh_word block = address - heap->common.header;
    RH_VISIT(heap, region, block);
    const size_t i = policy_number(heap, region, view);
    gift->entry.step = policy_step(heap, i, block);
    gift->entry.block = block;
    gift->entry.region = region;
    gift->size = rh_size(region, block) & ~RH_TOP_BIT;
    if (policy_halves(heap, view))
        return policy_meet_buddies(heap, i, gift->entry.step, gift->size);
    policy_neighbours(heap, gift, view);
    return policy_meet_gift(heap, gift, view);
}

RH_INLINE enum rh_status policy_release(struct rh_policy_heap *heap, rh_word address,
                                        struct policy_view view) {
    struct policy_gift gift = {0};
    heap->nodes = 0;
    const enum rh_status status = policy_find_gift(heap, address, &gift, view);
    if (status != RH_OK) return status;
    if (RH_CLEARS(heap))
        rh_clear(gift.entry.region, gift.entry.block, gift.size, heap->common.header);
    heap->free_size += gift.size;
    RH_COUNT_FREE(heap);
    RH_MARK_DEAD(heap, gift.entry.region, address);
    if (policy_halves(heap, view))
        policy_give_buddy(heap, gift.entry, gift.size);
    else
        policy_join(heap, &gift, view);
    return RH_OK;
}

/* The calls of a family, over one region. */
#define POLICY_CALLS(name, of)                                                                     \
    static enum rh_status name##_malloc(struct rh_policy_heap *heap, rh_word size,                 \
                                        rh_word *address) {                                        \
        struct rh_region one = *heap->common.regions;                                              \
        const struct policy_view view = {(of) | POLICY_ONE, &one};                                 \
        return policy_allocate(heap, size, address, view);                                         \
    }                                                                                              \
    static enum rh_status name##_free(struct rh_policy_heap *heap, rh_word address) {              \
        struct rh_region one = *heap->common.regions;                                              \
        const struct policy_view view = {(of) | POLICY_ONE, &one};                                 \
        return policy_release(heap, address, view);                                                \
    }
POLICY_CALLS(policy_ordered_tree, POLICY_PLACES | POLICY_ORDERED | POLICY_TREE)
POLICY_CALLS(policy_ordered_bins, POLICY_PLACES | POLICY_ORDERED)
POLICY_CALLS(policy_timed_tree, POLICY_PLACES | POLICY_TREE)
POLICY_CALLS(policy_timed_bins, POLICY_PLACES)
POLICY_CALLS(policy_class, POLICY_CLASS)
POLICY_CALLS(policy_sized, POLICY_SIZED)

/* Of all, over several regions. */
static enum rh_status policy_many_malloc(struct rh_policy_heap *heap, rh_word size,
                                         rh_word *address) {
    return policy_allocate(heap, size, address, policy_view(heap));
}

static enum rh_status policy_many_free(struct rh_policy_heap *heap, rh_word address) {
    return policy_release(heap, address, policy_view(heap));
}

static void policy_choose_calls(struct rh_policy_heap *heap) {
    switch (heap->family) {
#define POLICY_CASE(of, name)                                                                      \
    case (of) | POLICY_ONE:                                                                        \
        heap->malloc = name##_malloc;                                                              \
        heap->free = name##_free;                                                                  \
        break;
        POLICY_CASE(POLICY_PLACES | POLICY_ORDERED | POLICY_TREE, policy_ordered_tree)
        POLICY_CASE(POLICY_PLACES | POLICY_ORDERED, policy_ordered_bins)
        POLICY_CASE(POLICY_PLACES | POLICY_TREE, policy_timed_tree)
        POLICY_CASE(POLICY_PLACES, policy_timed_bins)
        POLICY_CASE(POLICY_CLASS, policy_class)
        POLICY_CASE(POLICY_SIZED, policy_sized)
    default: heap->malloc = policy_many_malloc; heap->free = policy_many_free;
    }
}

static enum rh_status rhp_malloc(struct rh_policy_heap *heap, rh_word size, rh_word *address) {
    return heap->malloc(heap, size, address);
}

static enum rh_status rhp_free(struct rh_policy_heap *heap, rh_word address) {
    return heap->free(heap, address);
}

/* What a free of this address would return. */
static enum rh_status rhp_meets(struct rh_policy_heap *heap, rh_word address) {
    struct policy_gift gift = {0};
    return policy_find_gift(heap, address, &gift, policy_view(heap));
}

/* --- looking -------------------------------------------------------------------------------------
 */

/* Visits the list, class by class where there are several. */
static enum rh_status rhp_walk_free(struct rh_policy_heap *heap, rh_visitor visit, void *context) {
    const bool by_class = (heap->family & POLICY_CLASS) != 0;
    uint32_t bin = 0;
    do {
        rh_word block = heap->head;
        if (by_class) {
            struct rh_region *region;
            bin = policy_bin_from(heap->index, bin);
            if (bin == NOWHERE) break;
            block = policy_block(heap, heap->index->first[bin], &region, policy_view(heap));
            bin++;
        }
        while (block != heap->end) {
            struct rh_region *region = rh_find_region(&heap->common, block);
            RH_VISIT(heap, region, block);
            if (!visit(context, block, rh_size(region, block), false)) return RH_OK;
            block = rh_next(region, block);
        }
    } while (by_class && bin < heap->index->bin_count);
    return RH_OK;
}

static enum rh_status rhp_walk(struct rh_policy_heap *heap, rh_visitor visit, void *context) {
    for (size_t i = 0; i < heap->common.region_count; i++) {
        const struct rh_region *region = &heap->common.regions[i];
        const enum rh_status status = rh_walk_range(region, policy_range_in(&heap->common, region),
                                                    heap->common.header, visit, context);
        if (status != RH_OK) return status;
    }
    return RH_OK;
}

static enum rh_status rhp_stats(struct rh_policy_heap *heap, struct rh_stats *stats) {
    rh_stats_begin(stats, heap->free_size);
    RH_STATS_MINIMUM(heap, stats);
    RH_STATS_COUNTS(heap, stats);
    return rhp_walk_free(heap, rh_stats_add, stats);
}
