#include "heap_4.h"

#include "rh_first_fit_inspect.h"

RH_API enum rh_status rh4_init(struct rh_heap4 *heap, struct rh_region *region,
                               const struct rh_options *options) {
    const rh_word alignment = RH_ALIGNMENT_OPTION(options);
    if (!rh_alignment_exists(alignment)) return RH_BAD_ALIGNMENT;
    const rh_word header = rh_header_bytes(alignment);
    if (RH_CHECK_SETUP) {
        enum rh_status status = rh4_test_region(region, alignment, header);
        if (status != RH_OK) return status;
    }
    const struct rh_range range = rh_ff_range(region, alignment, header);
    RH_INDEX_STATE(state);
    RH_INDEX_BEGIN(state);
    RH_INDEX_ADD(state, range, rh_log2(alignment), false);
    if (RH_CHECK_SETUP && !RH_INDEX_HAS_ROOM(state)) return RH_OUT_OF_RANGE;
    RH_START_COMMON(heap, region, 1, options);
#if RH_HOSTED || RH_PROTECTOR
    heap->canary = options->canary;
#endif
    heap->end = range.end;
    heap->head.next = range.start ^ RH_CANARY_OF(heap);
    heap->free_size = range.end - range.start;
    rh_ff_start(heap, range.start);
    rh_put_header(region, range.end, RH_CANARY_OF(heap), 0);
    rh_put_header(region, range.start, range.end ^ RH_CANARY_OF(heap), range.end - range.start);
    RH_INDEX_BUILD(heap, state, false);
    return RH_OK;
}

RH_API enum rh_status rh4_malloc(struct rh_heap4 *heap, rh_word size, rh_word *address) {
    return rh_ff_malloc(heap, size, address, false);
}

RH_API enum rh_status rh4_free(struct rh_heap4 *heap, rh_word address) {
    return rh_ff_free(heap, address, false);
}

RH_API enum rh_status rh4_stats(struct rh_heap4 *heap, struct rh_stats *stats) {
    return rh_ff_stats(heap, stats, false);
}

RH_API enum rh_status rh4_walk(const struct rh_heap4 *heap, const struct rh_region *region,
                               rh_visitor visit, void *context) {
    const rh_word header = RH_HEADER_OF(heap);
    return rh_walk_range(region, rh_ff_range(region, RH_ALIGNMENT_OF(heap), header), header, visit,
                         context);
}

RH_API enum rh_status rh4_walk_free(struct rh_heap4 *heap, rh_visitor visit, void *context) {
    return rh_ff_walk_free(heap, visit, context, false);
}

RH_API enum rh_status rh4_check(const struct rh_heap4 *heap, const struct rh_region *region,
                                struct rh_fault *fault) {
    return rh_ff_check(heap, region, 1, fault);
}
