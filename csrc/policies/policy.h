/*
 * A policy heap's functions, over what policy_state.h says it is. A part of word_size.h.
 */

RH_INLINE bool policy_by_class(const struct rh_policy *policy) {
    return policy->fit == RH_FIT_GOOD || policy->fit == RH_FIT_BUDDY;
}

/* One list, whose order is that of the bins. */
RH_INLINE bool policy_by_size(const struct rh_policy *policy) {
    return policy->order == RH_ORDER_SIZE;
}

RH_INLINE bool policy_has_places(const struct rh_policy *policy) {
    return !policy_by_class(policy) && !policy_by_size(policy);
}

/* Does a tree find the block? Else the bins do. */
RH_INLINE bool policy_has_tree(const struct rh_policy *policy) {
    return policy_has_places(policy) && (policy->fit == RH_FIT_FIRST || policy->fit == RH_FIT_NEXT);
}

RH_INLINE bool policy_in_place(const struct rh_policy *policy) {
    return policy->order == RH_ORDER_ADDRESS;
}

/* --- blocks and their numbers --------------------------------------------------------------------
 */

RH_INLINE size_t policy_region_of(const struct rh_policy_heap *heap, uint32_t step) {
    const struct policy_range *ranges = heap->index->ranges;
    size_t low = 0, high = heap->common.region_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (ranges[middle].first <= step)
            low = middle;
        else
            high = middle;
    }
    return low;
}

RH_INLINE rh_word policy_block(const struct rh_policy_heap *heap, uint32_t step,
                               struct rh_region **region) {
    const size_t i = policy_region_of(heap, step);
    const struct policy_range *range = &heap->index->ranges[i];
    *region = &heap->common.regions[i];
    return range->start + ((rh_word)(step - range->first) << heap->common.alignment_shift);
}

/* Of an address in a range of region i. */
RH_INLINE uint32_t policy_step(const struct rh_policy_heap *heap, size_t i, rh_word address) {
    const struct policy_range *range = &heap->index->ranges[i];
    return range->first + (uint32_t)((address - range->start) >> heap->common.alignment_shift);
}

/* Of any block's address; 0 for the end of a list. */
RH_INLINE uint32_t policy_step_of(const struct rh_policy_heap *heap, rh_word block) {
    if (block == heap->end) return 0;
    const struct rh_region *region = rh_find_region(&heap->common, block);
    return policy_step(heap, (size_t)(region - heap->common.regions), block);
}

RH_INLINE rh_word policy_size_at(const struct rh_policy_heap *heap, uint32_t step) {
    struct rh_region *region;
    const rh_word block = policy_block(heap, step, &region);
    return rh_size(region, block);
}

RH_INLINE rh_word policy_next_of(const struct rh_policy_heap *heap, uint32_t step) {
    struct rh_region *region;
    const rh_word block = policy_block(heap, step, &region);
    return rh_next(region, block);
}

RH_INLINE uint32_t policy_steps(const struct rh_policy_heap *heap, rh_word size) {
    return (uint32_t)(size >> heap->common.alignment_shift);
}

/* --- bins ---------------------------------------------------------------------------------------
 */

RH_INLINE unsigned policy_log2(uint64_t n) {
    return BITS_HIGHEST(n);
}

/* TLSF's two levels: 2^bits classes of the sizes from a power of two to the next. */
RH_INLINE uint32_t policy_class(uint32_t steps, unsigned bits) {
    if (steps >> bits == 0) return steps;
    const unsigned shift = policy_log2(steps) - bits;
    return ((shift + 1) << bits) + (steps >> shift) - ((uint32_t)1 << bits);
}

/* The bin that an entry of a size is in. */
RH_INLINE uint32_t policy_bin(const struct rh_policy_heap *heap, rh_word size) {
    const uint32_t steps = policy_steps(heap, size);
    switch (heap->policy.fit) {
    case RH_FIT_GOOD: return policy_class(steps, heap->policy.class_bits);
    case RH_FIT_BUDDY: return policy_log2(steps);
    default: break;
    }
    if (heap->odd_bits == heap->common.alignment_shift) return (uint32_t)size;
    /* The one odd size comes after the even ones of so many steps. */
    return (steps << heap->odd_bits) |
           ((size & (heap->common.alignment - 1)) != 0 ? heap->odd_bits : 0);
}

/* The first bin of which every entry is large enough. */
RH_INLINE uint32_t policy_bin_for(const struct rh_policy_heap *heap, rh_word wanted) {
    uint32_t steps = policy_steps(heap, wanted);
    const unsigned bits = heap->policy.class_bits;
    if (heap->policy.fit == RH_FIT_GOOD && steps >> bits != 0)
        steps += ((uint32_t)1 << (policy_log2(steps) - bits)) - 1;
    return policy_bin(heap, (rh_word)steps << heap->common.alignment_shift);
}

/* In this order: each uses those before it. */
#include "index.h"

#include "list.h"

#include "serve.h"

#include "join.h"

#include "policy_heap.h"

#include "policy_inspect.h"
