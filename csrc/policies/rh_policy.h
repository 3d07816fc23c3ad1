/*
 * What a policy heap can be set up with. Its words are the same whatever the target's size.
 */
#ifndef RH_POLICY_H
#define RH_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* Which free block serves a request. */
enum rh_fit {
    RH_FIT_FIRST, /* the first of the list that is large enough */
    RH_FIT_NEXT,  /* the same, from where the last search ended */
    RH_FIT_BEST,  /* the smallest that is large enough */
    RH_FIT_WORST, /* the largest */
    RH_FIT_GOOD,  /* the first of the first class of sizes that are all large enough */
    RH_FIT_BUDDY, /* binary buddies: sizes and places are powers of two */
    RH_FITS
};
#define RH_FIT_NAMES                                                                               \
    { "first", "next", "best", "worst", "good", "buddy" }

/* The order of the free list, and of each class's. */
enum rh_order {
    RH_ORDER_ADDRESS,
    RH_ORDER_LIFO, /* freed last, first */
    RH_ORDER_FIFO, /* freed first, first */
    RH_ORDER_SIZE, /* by size, among equals freed last first */
    RH_ORDERS
};
#define RH_ORDER_NAMES                                                                             \
    { "address", "lifo", "fifo", "size" }

/* When adjoining free blocks become one. */
enum rh_coalesce { RH_COALESCE_NEVER, RH_COALESCE_FREE, RH_COALESCE_DEFERRED, RH_COALESCES };
#define RH_COALESCE_NAMES                                                                          \
    { "never", "free", "deferred" }

#define RH_MOST_CLASS_BITS 5

/* A policy. rtosheap.PolicyHeap's arguments are its members, and say what makes no sense. */
struct rh_policy {
    enum rh_fit fit;
    enum rh_order order;
    enum rh_coalesce coalesce;
    uint64_t split;      /* a rest of more bytes is split off; 0: two headers */
    bool cut_end;        /* a request is served from the end of a block, not from its front */
    unsigned class_bits; /* good fit: 2^class_bits classes to a power of two */
};

#endif
