#include "heap_5.h"

#include "rh_first_fit_inspect.h"

/* Appends a region's blocks to the list, which then ends in its marker. `previous` is the region
 * appended before. */
RH_INLINE void rh5_append_region(struct rh_heap4 *heap, struct rh_region *previous,
                                 struct rh_region *region, rh_word alignment, rh_word header) {
    const struct rh_range range = rh_ff_range(region, alignment, header);
    const rh_word size = range.end - range.start;
    const rh_word entry = heap->end != 0 ? heap->end : RH_HEAD(heap);
    rh_ff_put_next(heap, previous, entry, range.start ^ RH_CANARY_OF(heap), true);
    heap->end = range.end;
    rh_put_header(region, range.end, RH_CANARY_OF(heap), 0);
    if (size != 0) rh_put_header(region, range.start, range.end ^ RH_CANARY_OF(heap), size);
    heap->free_size += size;
}

RH_API enum rh_status rh5_init(struct rh_heap4 *heap, struct rh_region *regions, size_t count,
                               const struct rh_options *options, size_t *wrong) {
    const rh_word alignment = RH_ALIGNMENT_OPTION(options);
    const rh_word header = rh_header_bytes(alignment);
    *wrong = 0;
    if (!rh_alignment_exists(alignment)) return RH_BAD_ALIGNMENT;
    if (count == 0) return RH_TOO_SMALL;
    rh_word total = 0, taken = 0;
    RH_INDEX_STATE(state);
    RH_INDEX_BEGIN(state);
    for (size_t i = 0; i < count; i++) {
        *wrong = i;
        enum rh_status status =
            rh5_test_region(&regions[i], taken, i + 1 == count, alignment, header);
        if (status != RH_OK) return status;
        const struct rh_range range = rh_ff_range(&regions[i], alignment, header);
        total += range.end - range.start;
        if (total >= RH_TOP_BIT) return RH_OUT_OF_RANGE;
        RH_INDEX_ADD(state, range, rh_log2(alignment), true);
        if (!RH_INDEX_HAS_ROOM(state)) return RH_OUT_OF_RANGE;
        taken = regions[i].base + (regions[i].size - 1);
    }

    RH_START_COMMON(heap, regions, count, options);
#if RH_HOSTED || RH_PROTECTOR
    heap->canary = options->canary;
#endif
    heap->end = 0;
    heap->free_size = 0;
    for (size_t i = 0; i < count; i++)
        rh5_append_region(heap, &regions[i > 0 ? i - 1 : 0], &regions[i], alignment, header);
    rh_ff_start(heap, rh_up(regions[0].base, alignment));
    RH_INDEX_BUILD(heap, state, true);
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
