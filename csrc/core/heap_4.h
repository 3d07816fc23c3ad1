/*
 * heap_4: first fit over an address-ordered free list, adjoining free blocks coalesced.
 *
 * Each block has a header of two words, rounded up to the alignment. The smallest region has room
 * for one header's worth of block and the end marker.
 */
#ifndef RH_HEAP_4_H
#define RH_HEAP_4_H

#include "rh_first_fit.h"

/* Sets the heap up over region->size bytes at region->base, and writes the first block's header
 * and the end marker. RH_TOO_SMALL, RH_BAD_ALIGNMENT, RH_OUT_OF_RANGE and RH_AT_ZERO leave arena
 * and heap as they were. */
RH_API enum rh_status rh4_init(struct rh_heap4 *heap, struct rh_region *region,
                               const struct rh_options *options);

/* On RH_OK *address is the payload's address. Fails with RH_EXHAUSTED, RH_FRAGMENTED, RH_CORRUPT;
 * then nothing changes. */
RH_API enum rh_status rh4_malloc(struct rh_heap4 *heap, rh_word size, rh_word *address);

/* Gives a live payload back. Fails with RH_INVALID_FREE, RH_DOUBLE_FREE, RH_CORRUPT; then nothing
 * changes. Never 0: at RH_CHECKS 0 what lies before the address is read as a header. */
RH_API enum rh_status rh4_free(struct rh_heap4 *heap, rh_word address);

/* The statistics; at RH_CHECKS 2 RH_CORRUPT iff a header of the free list is not the heap's. Below,
 * the list is believed. */
RH_API enum rh_status rh4_stats(struct rh_heap4 *heap, struct rh_stats *stats);

/* Visits every block in address order, and every free block in the list's order. */
RH_API enum rh_status rh4_walk(const struct rh_heap4 *heap, const struct rh_region *region,
                               rh_visitor visit, void *context);
RH_API enum rh_status rh4_walk_free(struct rh_heap4 *heap, rh_visitor visit, void *context);

/* RH_CORRUPT iff a rule is broken; *fault says which and where. Reads inside the region only. */
RH_API enum rh_status rh4_check(const struct rh_heap4 *heap, const struct rh_region *region,
                                struct rh_fault *fault);

#endif
