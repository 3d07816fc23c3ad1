/*
 * A policy heap's functions, over what policy_state.h says it is. A part of word_size.h.
 */

RH_INLINE bool policy_by_class(const struct rh_policy *policy) {
    return policy->fit == RH_FIT_GOOD || policy->fit == RH_FIT_BUDDY;
}

static unsigned policy_family_of(const struct rh_policy *policy) {
    const bool searches = policy->fit == RH_FIT_FIRST || policy->fit == RH_FIT_NEXT;
    if (policy_by_class(policy)) return POLICY_CLASS;
    if (policy->order == RH_ORDER_SIZE) return POLICY_SIZED;
    return POLICY_PLACES | (policy->order == RH_ORDER_ADDRESS ? POLICY_ORDERED : 0u) |
           (searches ? POLICY_TREE : 0u);
}

/* --- blocks and their numbers --------------------------------------------------------------------
 */

RH_SHARED size_t policy_search_region(const struct rh_policy_heap *heap, uint32_t step) {
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
    const size_t i = heap->common.region_count == 1 ? 0 : policy_search_region(heap, step);
    *region = &heap->common.regions[i];
    return heap->index->ranges[i].origin + ((rh_word)step << heap->common.alignment_shift);
}

/* Of an address in a range of region i. */
RH_INLINE uint32_t policy_step(const struct rh_policy_heap *heap, size_t i, rh_word address) {
    return (uint32_t)((rh_word)(address - heap->index->ranges[i].origin) >>
                      heap->common.alignment_shift);
}

/* rh_find_region(), where most heaps have one. */
RH_INLINE struct rh_region *policy_region_at(const struct rh_policy_heap *heap, rh_word address) {
    struct rh_region *first = heap->common.regions;
    if ((rh_word)(address - first->base) < first->size) return first;
    return rh_find_region(&heap->common, address);
}

/* Of any block's address; 0 for the end of a list. */
RH_INLINE uint32_t policy_step_of(const struct rh_policy_heap *heap, rh_word block) {
    if (block == heap->end) return 0;
    const struct rh_region *region = policy_region_at(heap, block);
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
    return RANK_HIGHEST(n);
}

/* TLSF's two levels: 2^bits classes of the sizes from a power of two to the next. */
RH_INLINE uint32_t policy_class(uint32_t steps, unsigned bits) {
    if (steps >> bits == 0) return steps;
    const unsigned shift = policy_log2(steps) - bits;
    return ((shift + 1) << bits) + (steps >> shift) - ((uint32_t)1 << bits);
}

/* The bin that an entry of a size is in. */
RH_INLINE uint32_t policy_bin(const struct rh_policy_heap *heap, rh_word size, unsigned family) {
    const uint32_t steps = policy_steps(heap, size);
    if ((family & POLICY_CLASS) != 0)
        return heap->policy.fit == RH_FIT_BUDDY ? policy_log2(steps)
                                                : policy_class(steps, heap->policy.class_bits);
    if (heap->odd_bits == 0) return steps;
    if (heap->odd_bits == heap->common.alignment_shift) return (uint32_t)size;
    /* The one odd size comes after the even ones of so many steps. */
    return (steps << heap->odd_bits) |
           ((size & (heap->common.alignment - 1)) != 0 ? heap->odd_bits : 0);
}

/* The first bin of which every entry is large enough. */
RH_INLINE uint32_t policy_bin_for(const struct rh_policy_heap *heap, rh_word wanted,
                                  unsigned family) {
    uint32_t steps = policy_steps(heap, wanted);
    const unsigned bits = heap->policy.class_bits;
    if ((family & POLICY_CLASS) != 0 && heap->policy.fit == RH_FIT_GOOD && steps >> bits != 0)
        steps += ((uint32_t)1 << (policy_log2(steps) - bits)) - 1;
    return policy_bin(heap, (rh_word)steps << heap->common.alignment_shift, family);
}

/* In this order: each uses those before it. */
#include "index.h"

#include "list.h"

#include "serve.h"

#include "join.h"

#include "policy_heap.h"

#include "policy_inspect.h"
