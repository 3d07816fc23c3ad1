#include "heap_1.h"

RH_API enum rh_status rh1_init(struct rh_heap1 *heap, struct rh_region *region,
                               const struct rh_options *options) {
    const rh_word alignment = RH_ALIGNMENT_OPTION(options);
    if (!rh_alignment_exists(alignment)) return RH_BAD_ALIGNMENT;
    if (RH_CHECK_SETUP) {
        const enum rh_status status = rh1_test_region(region, alignment);
        if (status != RH_OK) return status;
    }
    RH_START_COMMON(heap, region, 1, options);
    const struct rh_range range = rh2_range(region, alignment, RH_IS_OLD(heap, RH_OLD_START));
    heap->start = range.start;
    heap->limit = range.end - range.start;
    heap->used = 0;
    RH_RESET_ALLOCATIONS(heap);
    RH_RESET_FAILED(heap);
    return RH_OK;
}

RH_API enum rh_status rh1_malloc(struct rh_heap1 *const heap, const rh_word size,
                                 rh_word *const address) {
    /* Rounded up, a size of 0 is 0, and so is one that overflows. */
    RH_FAST rh_word rounded = rh_up(size, RH_ALIGNMENT_OF(heap));
    RH_FAST rh_word used = heap->used;
    if (rounded == 0 || rounded >= heap->limit - used) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    *address = heap->start + used;
    heap->used = used + rounded;
    RH_COUNT_ALLOCATION(heap);
    RH_MARK_LIVE(heap, RH_FIRST_REGION(heap), *address);
    return RH_OK;
}

RH_API rh_word rh1_free_size(const struct rh_heap1 *heap) {
    return heap->limit - heap->used;
}

#if RH_HAS_SHADOW
RH_API rh_word rh1_block_size(const struct rh_heap1 *heap, rh_word address) {
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const unsigned shift = RH_SHIFT_OF(heap);
    const unsigned char *live = region->shadow + region->bits_at;
    const rh_word end = heap->start + heap->used;
    rh_word next = address + RH_ALIGNMENT_OF(heap);
    while (next != end && !rh_bit(live, rh_bit_of(region, next, shift)))
        next += RH_ALIGNMENT_OF(heap);
    return next - address;
}

RH_API enum rh_status rh1_walk(const struct rh_heap1 *heap, rh_visitor visit, void *context) {
    rh_word offset = 0;
    while (offset != heap->used) {
        rh_word size = rh1_block_size(heap, heap->start + offset);
        if (!visit(context, heap->start + offset, size, true)) return RH_OK;
        offset += size;
    }
    if (heap->limit != offset) visit(context, heap->start + offset, heap->limit - offset, false);
    return RH_OK;
}
#endif
