#include "heap_5.h"

#include "rh_inspect.h"

/* Is region i one that heap_5 can take? FreeRTOS asserts the order of starts and end markers; a
 * region smaller than its loss by alignment or than a header it would write outside. */
static enum rh_status rh5_test_region(const struct rh_region *regions, size_t i, size_t count,
                                      rh_word alignment, rh_word header) {
    const struct rh_region *region = &regions[i];
    if (!rh_in_range(region->base, region->size)) return RH_OUT_OF_RANGE;
    if (region->base == 0) return RH_AT_ZERO;
    if (i > 0 &&
        (region->base <= region[-1].base || region->base - region[-1].base < region[-1].size))
        return RH_NOT_ASCENDING;
    const rh_word lost = rh_up(region->base, alignment) - region->base;
    if (region->size < lost + header) return RH_TOO_SMALL;
    const struct rh_range range = rh_ff_range(region, alignment, header);
    if (range.end < range.start) return RH_TOO_SMALL;
    const rh_word usable = range.end - range.start;
    /* No block at all is well where other regions follow; less than a header is never. */
    if (usable < header && !(usable == 0 && i + 1 < count)) return RH_TOO_SMALL;
    return RH_OK;
}

RH_API enum rh_status rh5_init(struct rh_heap4 *heap, struct rh_region *regions, size_t count,
                               const struct rh_options *options, size_t *wrong) {
    const rh_word alignment = RH_ALIGNMENT_OPTION(options);
    const rh_word header = rh_up(2 * RH_WORD_BYTES, alignment);
    *wrong = 0;
    if (!rh_alignment_exists(alignment)) return RH_BAD_ALIGNMENT;
    if (count == 0) return RH_TOO_SMALL;
    rh_word total = 0;
    for (size_t i = 0; i < count; i++) {
        *wrong = i;
        enum rh_status status = rh5_test_region(regions, i, count, alignment, header);
        if (status != RH_OK) return status;
        const struct rh_range range = rh_ff_range(&regions[i], alignment, header);
        total += range.end - range.start;
        if (total >= RH_TOP_BIT) return RH_OUT_OF_RANGE;
    }

    RH_START_COMMON(heap, regions, count, options);
#if RH_HOSTED || RH_PROTECTOR
    heap->canary = options->canary;
#endif
    /* From the last to the first, so that each region knows where the list goes on. */
    rh_word following = 0;
    for (size_t i = count; i-- > 0;) {
        const struct rh_range range = rh_ff_range(&regions[i], alignment, header);
        rh_put_header(&regions[i], range.end, following ^ RH_CANARY_OF(heap), 0);
        if (following == 0) heap->end = range.end;
        following = range.start;
        if (range.start != range.end)
            rh_put_header(&regions[i], range.start, range.end ^ RH_CANARY_OF(heap),
                          range.end - range.start);
    }
    rh_ff_start(heap, following, total);
    return RH_OK;
}

RH_API enum rh_status rh5_malloc(struct rh_heap4 *heap, rh_word size, rh_word *address) {
    return rh_ff_malloc(heap, size, address, true);
}

RH_API enum rh_status rh5_free(struct rh_heap4 *heap, rh_word address) {
    return rh_ff_free(heap, address, true);
}

RH_API enum rh_status rh5_stats(struct rh_heap4 *heap, struct rh_stats *stats) {
    return rh_ff_stats(heap, stats, true);
}

RH_API enum rh_status rh5_walk(const struct rh_heap4 *heap, const struct rh_region *regions,
                               size_t count, rh_visitor visit, void *context) {
    const rh_word header = RH_HEADER_OF(heap);
    for (size_t i = 0; i < count; i++) {
        const struct rh_range range = rh_ff_range(&regions[i], RH_ALIGNMENT_OF(heap), header);
        enum rh_status status = rh_walk_range(&regions[i], range, header, visit, context);
        if (status != RH_OK) return status;
    }
    return RH_OK;
}

RH_API enum rh_status rh5_walk_free(struct rh_heap4 *heap, rh_visitor visit, void *context) {
    return rh_ff_walk_free(heap, visit, context, true);
}

RH_API enum rh_status rh5_check(const struct rh_heap4 *heap, const struct rh_region *regions,
                                size_t count, struct rh_fault *fault) {
    return rh_ff_check(heap, regions, count, fault);
}
