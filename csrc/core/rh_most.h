/*
 * How many entries a list can have at most, for what RH_WHILE() says of the loops that walk it.
 */
#ifndef RH_MOST_H
#define RH_MOST_H

#include "rh_heap.h"

/* The heap's bytes (of heap_5 the sum of its regions), how many regions they are, and a block's
 * least bytes: a header and an alignment step. Firmware's RH_HEAP_BYTES and RH_HEAP_REGIONS are
 * asked for by nobody else. */
#if RH_HOSTED
RH_INLINE rh_word rh_loop_bytes(const struct rh_common *common) {
    rh_word bytes = 0;
    for (size_t i = 0; i < common->region_count; i++)
        bytes += common->regions[i].size;
    return bytes;
}
#define RH_LOOP_BYTES(heap) rh_loop_bytes(&(heap)->common)
#define RH_LOOP_REGIONS(heap) ((rh_word)(heap)->common.region_count)
#define RH_LOOP_STEP(heap) RH_ALIGNMENT_OF(heap)
#else
#define RH_LOOP_BYTES(heap) RH_HEAP_BYTES
#define RH_LOOP_REGIONS(heap) RH_HEAP_REGIONS
#define RH_LOOP_STEP(heap) RH_ALIGNMENT
#endif
#define RH_LOOP_HEADER(heap) RH_HEADER_BYTES(RH_LOOP_STEP(heap))
#define RH_LOOP_LEAST(heap) (RH_LOOP_HEADER(heap) + RH_LOOP_STEP(heap))

/* heap_2: the most entries of the list. Free blocks may adjoin; a heap that is too small for a
 * block has one entry all the same. */
#define RH2_MOST_ENTRIES(heap)                                                                     \
    (RH_LOOP_BYTES(heap) - RH_LOOP_STEP(heap) < RH_LOOP_LEAST(heap)                                \
         ? 1                                                                                       \
         : (RH_LOOP_BYTES(heap) - RH_LOOP_STEP(heap)) / RH_LOOP_LEAST(heap))

/* heap_4 and heap_5: the most blocks; of them every second can be free, for free blocks do not
 * adjoin. So many entries are in the list, its end not counted; and so many lie before a block that
 * is allocated, the other regions' markers among them. */
#define RH_FF_MOST_BLOCKS(heap)                                                                    \
    ((RH_LOOP_BYTES(heap) - RH_LOOP_REGIONS(heap) * RH_LOOP_HEADER(heap)) / RH_LOOP_LEAST(heap))
#define RH_FF_MOST_ENTRIES(heap)                                                                   \
    RH_FF_LISTED(heap, RH_FF_MOST_BLOCKS(heap) / 2 + RH_LOOP_REGIONS(heap))
#define RH_FF_MOST_BEFORE(heap)                                                                    \
    RH_FF_LISTED(heap, RH_FF_MOST_BLOCKS(heap) / 2 + 2 * (RH_LOOP_REGIONS(heap) - 1))
/* With an index the list is walked where it is short alone. */
#if !RH_INDEX
#define RH_FF_LISTED(heap, most) (most)
#elif RH_HOSTED
#define RH_FF_LISTED(heap, most) (RH_IS_INDEXED(heap) ? RH_INDEX_NEAR : (most))
#else
#define RH_FF_LISTED(heap, most) RH_INDEX_NEAR
#endif
/* The turns that pass so many entries. */
#define RH_FF_TURNS(entries) (RH_TWO_TO_A_TURN ? ((entries) + 1) / 2 : (entries))

#endif
