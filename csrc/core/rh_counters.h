/*
 * The counters of a heap, each of which a build may leave out: then it is no member of the heap,
 * and counting is nothing.
 */
#ifndef RH_COUNTERS_H
#define RH_COUNTERS_H

#include "rh_heap.h"

#if RH_KEEP_MINIMUM
#define RH_MINIMUM rh_word minimum_ever_free;
#define RH_RESET_MINIMUM(heap) ((heap)->minimum_ever_free = (heap)->free_size)
#define RH_LOWER_MINIMUM(heap, value)                                                              \
    do {                                                                                           \
        if ((value) < (heap)->minimum_ever_free) (heap)->minimum_ever_free = (value);              \
    } while (0)
#define RH_STATS_MINIMUM(heap, stats) ((stats)->minimum_ever_free = (heap)->minimum_ever_free)
#else
#define RH_MINIMUM
#define RH_RESET_MINIMUM(heap) ((void)0)
#define RH_LOWER_MINIMUM(heap, value) ((void)0)
#define RH_STATS_MINIMUM(heap, stats) ((void)0)
#endif

#if RH_KEEP_COUNTS
#define RH_ALLOCATIONS rh_word allocations;
#define RH_FREES rh_word frees;
#define RH_COUNT_ALLOCATION(heap) ((heap)->allocations++)
#define RH_COUNT_FREE(heap) ((heap)->frees++)
#define RH_RESET_ALLOCATIONS(heap) ((heap)->allocations = 0)
#define RH_RESET_FREES(heap) ((heap)->frees = 0)
#define RH_STATS_COUNTS(heap, stats)                                                               \
    ((stats)->allocation_count = (heap)->allocations, (stats)->free_count = (heap)->frees)
#else
#define RH_ALLOCATIONS
#define RH_FREES
#define RH_COUNT_ALLOCATION(heap) ((void)0)
#define RH_COUNT_FREE(heap) ((void)0)
#define RH_RESET_ALLOCATIONS(heap) ((void)0)
#define RH_RESET_FREES(heap) ((void)0)
#define RH_STATS_COUNTS(heap, stats) ((void)0)
#endif

#if RH_KEEP_FAILED
#define RH_FAILED rh_word failed; /* calls that FreeRTOS's malloc-failed hook would have had */
#define RH_COUNT_FAILED(heap) ((heap)->failed++)
#define RH_RESET_FAILED(heap) ((heap)->failed = 0)
#else
#define RH_FAILED
#define RH_COUNT_FAILED(heap) ((void)0)
#define RH_RESET_FAILED(heap) ((void)0)
#endif

#if RH_KEEP_NODES
#define RH_NODES rh_word nodes; /* free-list entries that the last call read */
#define RH_SET_NODES(heap, n) ((heap)->nodes = (n))
#define RH_NODES_OF(heap) ((heap)->nodes)
#define RH_COUNT_NODE(n) ((n)++)
#else
#define RH_NODES
#define RH_SET_NODES(heap, n) ((void)(n))
#define RH_NODES_OF(heap) 0
#define RH_COUNT_NODE(n) ((void)(n))
#endif

/* All of them, as members; set-up resets them when the free size is known. heap_1, which has no
 * list and frees nothing, has RH_ALLOCATIONS and RH_FAILED alone. */
#define RH_COUNTERS RH_MINIMUM RH_ALLOCATIONS RH_FREES RH_FAILED RH_NODES
#define RH_RESET_COUNTERS(heap)                                                                    \
    do {                                                                                           \
        RH_RESET_MINIMUM(heap);                                                                    \
        RH_RESET_ALLOCATIONS(heap);                                                                \
        RH_RESET_FREES(heap);                                                                      \
        RH_RESET_FAILED(heap);                                                                     \
        RH_SET_NODES(heap, 0);                                                                     \
    } while (0)

#endif
