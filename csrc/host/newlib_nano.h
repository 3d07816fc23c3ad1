/*
 * The malloc of newlib 3.3.0's nano variant over an sbrk that grows through one region: what
 * heap_3 is on most Cortex-M toolchains, for a simulated 32-bit target.
 *
 * A chunk is a size, then, while it is free, the address of the next free chunk (0: none). The
 * list is in address order. A payload is 8-aligned; where that is 4 bytes more than the size
 * takes, the word between them holds -4.
 */
#ifndef RH_NEWLIB_NANO_H
#define RH_NEWLIB_NANO_H

#include "rh_block.h"
#include "rh_counters.h"

#if !RH_HOSTED || RH_WORD_BYTES != 4
#error "newlib-nano's malloc is simulated on a host, for a 32-bit target"
#endif

#define RH_NANO_ALIGNMENT 8

struct rh_nano {
    RH_COMMON
    rh_word first;   /* the first free chunk, or 0 */
    rh_word lowest;  /* the first chunk ever taken from sbrk, or 0; from there all adjoin */
    rh_word reached; /* bytes that sbrk has handed out */
    rh_word free_size;
    RH_COUNTERS
};

/* Fails with RH_OUT_OF_RANGE, RH_AT_ZERO and RH_TOO_SMALL (no chunk would ever fit). */
RH_API enum rh_status rhn_init(struct rh_nano *heap, struct rh_region *region);
RH_API enum rh_status rhn_malloc(struct rh_nano *heap, rh_word size, rh_word *address);
RH_API enum rh_status rhn_free(struct rh_nano *heap, rh_word address);
RH_API enum rh_status rhn_stats(struct rh_nano *heap, struct rh_stats *stats);

/* The chunk of a live payload. */
RH_API rh_word rhn_chunk(const struct rh_nano *heap, rh_word address);

/* Every chunk in address order, then what sbrk has not reached if there is any. */
RH_API enum rh_status rhn_walk(const struct rh_nano *heap, rh_visitor visit, void *context);
/* The free list, then the same rest. */
RH_API enum rh_status rhn_walk_free(struct rh_nano *heap, rh_visitor visit, void *context);

RH_API enum rh_status rhn_check(struct rh_nano *heap, struct rh_fault *fault);

#endif
