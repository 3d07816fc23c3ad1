/*
 * heap_5: heap_4 over several regions of memory, given in ascending order.
 *
 * Each region ends in a marker; no block spans two regions, not even adjoining ones.
 */
#ifndef RH_HEAP_5_H
#define RH_HEAP_5_H

#include "rh_first_fit.h"

/* Sets the heap up over `count` regions, which must outlive it where the core keeps regions. A
 * region but the last may be so small that no block fits. RH_NOT_ASCENDING, RH_TOO_SMALL,
 * RH_BAD_ALIGNMENT, RH_OUT_OF_RANGE and RH_AT_ZERO leave arena and heap as they were, with the
 * index of the region in *wrong. */
RH_API enum rh_status rh5_init(struct rh_heap4 *heap, struct rh_region *regions, size_t count,
                               const struct rh_options *options, size_t *wrong);

/* As rh4_malloc(), rh4_free(), rh4_stats(), rh4_walk(), rh4_walk_free() and rh4_check(). */
RH_API enum rh_status rh5_malloc(struct rh_heap4 *heap, rh_word size, rh_word *address);
RH_API enum rh_status rh5_free(struct rh_heap4 *heap, rh_word address);
RH_API enum rh_status rh5_stats(struct rh_heap4 *heap, struct rh_stats *stats);
RH_API enum rh_status rh5_walk(const struct rh_heap4 *heap, const struct rh_region *regions,
                               size_t count, rh_visitor visit, void *context);
RH_API enum rh_status rh5_walk_free(struct rh_heap4 *heap, rh_visitor visit, void *context);
RH_API enum rh_status rh5_check(const struct rh_heap4 *heap, const struct rh_region *regions,
                                size_t count, struct rh_fault *fault);

#endif
