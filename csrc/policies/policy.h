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

/* How a call sees its heap. What is of one region is a copy that no store to an arena can change,
 * so that it stays in registers. */
struct policy_view {
    unsigned family;       /* a constant where a call is compiled for one */
    struct rh_region *one; /* POLICY_ONE */
};

RH_INLINE struct policy_view policy_view(const struct rh_policy_heap *heap) {
    const struct policy_view view = {heap->family, heap->common.regions};
    return view;
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
                               struct rh_region **region, struct policy_view view) {
    const rh_word offset = (rh_word)step << heap->common.alignment_shift;
    *region = view.one;
    if ((view.family & POLICY_ONE) != 0) return heap->origin + offset;
    const size_t i = policy_search_region(heap, step);
    *region = &heap->common.regions[i];
    return heap->index->ranges[i].origin + offset;
}

/* A free block; step 0: none. */
struct policy_entry {
    uint32_t step;
    rh_word block;
    struct rh_region *region;
};

RH_INLINE struct policy_entry policy_entry(const struct rh_policy_heap *heap, uint32_t step,
                                           struct policy_view view) {
    struct policy_entry entry = {step, 0, view.one};
    if (step != 0) entry.block = policy_block(heap, step, &entry.region, view);
    return entry;
}

/* Of an address in a range of region i. */
RH_INLINE uint32_t policy_step(const struct rh_policy_heap *heap, size_t i, rh_word address) {
    const rh_word origin = heap->index->ranges[i].origin;
    return (uint32_t)((rh_word)(address - origin) >> heap->common.alignment_shift);
}

/* Of any block's address; 0 for the end of a list. */
RH_INLINE uint32_t policy_step_of(const struct rh_policy_heap *heap, rh_word block,
                                  struct policy_view view) {
    if (block == heap->end) return 0;
    if ((view.family & POLICY_ONE) != 0)
        return (uint32_t)((rh_word)(block - heap->origin) >> heap->common.alignment_shift);
    const struct rh_region *region = rh_find_region(&heap->common, block);
    return policy_step(heap, (size_t)(region - heap->common.regions), block);
}

RH_INLINE rh_word policy_size_at(const struct rh_policy_heap *heap, uint32_t step,
                                 struct policy_view view) {
    struct rh_region *region;
    const rh_word block = policy_block(heap, step, &region, view);
    return rh_size(region, block);
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
RH_INLINE uint32_t policy_bin(const struct rh_policy_heap *heap, rh_word size,
                              struct policy_view view) {
    const uint32_t steps = policy_steps(heap, size);
    if ((view.family & POLICY_CLASS) != 0)
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
                                  struct policy_view view) {
    uint32_t steps = policy_steps(heap, wanted);
    const unsigned bits = heap->policy.class_bits;
    if ((view.family & POLICY_CLASS) != 0 && heap->policy.fit == RH_FIT_GOOD && steps >> bits != 0)
        steps += ((uint32_t)1 << (policy_log2(steps) - bits)) - 1;
    return policy_bin(heap, (rh_word)steps << heap->common.alignment_shift, view);
}

/* In this order: each uses those before it. */
#include "index.h"

#include "list.h"

#include "serve.h"

#include "join.h"

#include "policy_heap.h"

#include "policy_inspect.h"
