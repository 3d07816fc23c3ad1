/*
 * heap_2: best fit over a free list in the order of sizes, the newest first among equals. Free
 * blocks are never coalesced.
 *
 * Of `size` bytes, `size - alignment` are managed. The list ends in a marker that lies outside the
 * arena: in firmware a member of the heap, on a host an address that nothing occupies.
 */
#ifndef RH_HEAP_2_H
#define RH_HEAP_2_H

#include "rh_block.h"
#include "rh_counters.h"

/* The caller owns it; nothing else of the heap lies outside the arena, but for the shadow at
 * RH_CHECKS 2. */
struct rh_heap2 {
    RH_COMMON
    struct rh_header head; /* its link leads to the smallest free block */
#if RH_HOSTED
    rh_word end_marker;
#else
    struct rh_header tail; /* larger than any block, so that every search ends */
#endif
    rh_word free_size;
    RH_COUNTERS
};
#if !RH_HAS_REGIONS /* who reads a dump of firmware finds the members so */
RH_STATIC_ASSERT(offsetof(struct rh_heap2, tail) == 2 * RH_WORD_BYTES, "tail follows the head");
RH_STATIC_ASSERT(offsetof(struct rh_heap2, free_size) == 4 * RH_WORD_BYTES, "free_size comes next");
#endif

/* Sets the heap up over region->size bytes at region->base, and writes the first block's header.
 * RH_TOO_SMALL, RH_BAD_ALIGNMENT, RH_OUT_OF_RANGE, RH_AT_ZERO and RH_BAD_MARKER leave arena and
 * heap as they were. */
RH_API enum rh_status rh2_init(struct rh_heap2 *heap, struct rh_region *region,
                               const struct rh_options *options);

/* On RH_OK *address is the payload's address. Fails with RH_EXHAUSTED, RH_FRAGMENTED, RH_CORRUPT;
 * then nothing changes. */
RH_API enum rh_status rh2_malloc(struct rh_heap2 *heap, rh_word size, rh_word *address);

/* Gives a live payload back. Fails with RH_INVALID_FREE, RH_DOUBLE_FREE, RH_CORRUPT; then nothing
 * changes. Never 0: below RH_CHECKS 2 what lies before the address is read as a header. */
RH_API enum rh_status rh2_free(struct rh_heap2 *heap, rh_word address);

/* The statistics; at RH_CHECKS 2 RH_CORRUPT iff a header of the free list is not the heap's. Below,
 * the list is believed. */
RH_API enum rh_status rh2_stats(struct rh_heap2 *heap, struct rh_stats *stats);

/* Visits every block in address order, and every free block in the list's order. */
RH_API enum rh_status rh2_walk(const struct rh_heap2 *heap, const struct rh_region *region,
                               rh_visitor visit, void *context);
RH_API enum rh_status rh2_walk_free(struct rh_heap2 *heap, rh_visitor visit, void *context);

/* RH_CORRUPT iff a rule is broken; *fault says which and where. Reads inside the region only. It
 * tells a link into the middle of a block only by what it finds there. */
RH_API enum rh_status rh2_check(struct rh_heap2 *heap, const struct rh_region *region,
                                struct rh_fault *fault);

#endif
