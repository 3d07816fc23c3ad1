/*
 * The malloc of newlib's nano variant over an sbrk that grows through one region: what heap_3 is
 * on most Cortex-M toolchains, for a simulated 32-bit target.
 *
 * A chunk is a size, then, while it is free, the address of the next free chunk (0: none). The
 * list is in address order. A payload is 8-aligned; where that is 4 bytes more than the size
 * takes, the word between them holds -4. memalign can leave 8 bytes there, and then writes -8.
 */
#ifndef RH_NEWLIB_NANO_H
#define RH_NEWLIB_NANO_H

#include "rh_block.h"
#include "rh_counters.h"
#include "versions.h"

#if !RH_HOSTED || RH_WORD_BYTES != 4
#error "newlib-nano's malloc is simulated on a host, for a 32-bit target"
#endif

#define RH_NANO_ALIGNMENT 8

/* What goes wrong in some of them. */
enum rh_nano_bug {
    RH_NANO_NO_BUG,
    RH_NANO_READS_0,  /* 4.2.0: sbrk refuses while the list is empty */
    RH_NANO_TWICE,    /* 4.2.0: a chunk that was extended is listed, though allocated */
    RH_NANO_WRITES_4, /* 4.3.0: the list's only chunk is extended */
    RH_NANO_WRAPS,    /* 3.3.0: memalign computes a size that wraps */
    RH_NANO_HELD      /* none of theirs: see `holds` */
};

struct rh_nano {
    RH_COMMON
    enum rh_nano_version version;
    enum rh_nano_bug bug; /* that the last RH_ASSERTION stands for */
    bool holds;           /* what would extend a chunk is RH_ASSERTION, before anything changes */
    rh_word extended;     /* 4.2.0: the chunk that is listed last, though allocated; or 0 */
    rh_word first;        /* the first free chunk, or 0 */
    rh_word lowest;       /* the first chunk ever taken from sbrk, or 0; from there all adjoin */
    rh_word reached;      /* bytes that sbrk has handed out */
    rh_word refused;      /* the smallest arena in which sbrk would not have refused what it has
                           * refused so far, or 0: in all from `reached` on and below, all is alike */
    rh_word least;        /* bytes of the smallest chunk that there can be */
    rh_word free_size;
    RH_COUNTERS
};

/* Fails with RH_OUT_OF_RANGE, RH_AT_ZERO and RH_TOO_SMALL (no chunk would ever fit). */
RH_API enum rh_status rhn_init(struct rh_nano *heap, struct rh_region *region,
                               enum rh_nano_version version);
/* The same heap in an arena of `size` bytes, no fewer than it has reached: what it has refused so
 * far, it did not. */
RH_API void rhn_limit(struct rh_nano *heap, rh_word size, bool holds);
/* RH_ASSERTION where the library's own bug would be met: then the heap is as it was. */
RH_API enum rh_status rhn_malloc(struct rh_nano *heap, rh_word size, rh_word *address);
RH_API enum rh_status rhn_free(struct rh_nano *heap, rh_word address);
/* *address is the new payload's, or 0 where `size` is 0, which frees. Otherwise the block stays. */
RH_API enum rh_status rhn_realloc(struct rh_nano *heap, rh_word old, rh_word size,
                                  rh_word *address);
RH_API enum rh_status rhn_calloc(struct rh_nano *heap, rh_word count, rh_word size,
                                 rh_word *address);
/* RH_BAD_ALIGNMENT where `alignment` has two bits set. */
RH_API enum rh_status rhn_memalign(struct rh_nano *heap, rh_word alignment, rh_word size,
                                   rh_word *address);
RH_API enum rh_status rhn_stats(struct rh_nano *heap, struct rh_stats *stats);

/* The chunk of a live payload. */
RH_API rh_word rhn_chunk(const struct rh_nano *heap, rh_word address);

/* Every chunk in address order, then what sbrk has not reached if there is any. */
RH_API enum rh_status rhn_walk(const struct rh_nano *heap, rh_visitor visit, void *context);
/* The free list, then the same rest. What 4.2.0 lists though it is allocated is said to be so. */
RH_API enum rh_status rhn_walk_free(struct rh_nano *heap, rh_visitor visit, void *context);

/* The payloads that memalign moved within their chunk. */
RH_API void rhn_walk_moved(const struct rh_nano *heap, rh_visitor visit, void *context);

RH_API enum rh_status rhn_check(struct rh_nano *heap, struct rh_fault *fault);

#endif
