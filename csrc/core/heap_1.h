/*
 * heap_1: a bump allocator. Nothing is freed, and nothing is written to the arena.
 *
 * Of `size` bytes, `size - alignment` are managed, and the last of those is never handed out: a
 * request that fits exactly fails, as FreeRTOS has it.
 */
#ifndef RH_HEAP_1_H
#define RH_HEAP_1_H

#include "rh_block.h"
#include "rh_counters.h"

/* The caller owns it. */
struct rh_heap1 {
    RH_COMMON
    rh_word start; /* address of the first payload */
    rh_word limit; /* bytes managed */
    rh_word used;
    RH_ALLOCATIONS
    RH_FAILED
};

/* Sets the heap up over region->size bytes at region->base, of which nothing is written. Fails with
 * RH_TOO_SMALL, RH_BAD_ALIGNMENT, RH_OUT_OF_RANGE, RH_AT_ZERO; then the heap is as it was. */
RH_API enum rh_status rh1_init(struct rh_heap1 *heap, struct rh_region *region,
                               const struct rh_options *options);

/* On RH_OK *address is the payload's address. Fails with RH_EXHAUSTED; then nothing changes. */
RH_API enum rh_status rh1_malloc(struct rh_heap1 *heap, rh_word size, rh_word *address);

/* Bytes that are not handed out. A request must be smaller. */
RH_API rh_word rh1_free_size(const struct rh_heap1 *heap);

/* Bytes of a live block. With no header in the arena only the shadow knows where a block starts
 * (RH_CHECKS 2). */
#if RH_HAS_SHADOW
RH_API rh_word rh1_block_size(const struct rh_heap1 *heap, rh_word address);
/* Visits every block, then the free rest if there is one. RH_CHECKS 2 alone. Returns RH_OK. */
RH_API enum rh_status rh1_walk(const struct rh_heap1 *heap, rh_visitor visit, void *context);
#endif

#endif
