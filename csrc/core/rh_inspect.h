/*
 * What looking at a heap without changing it has in common: walks, statistics, faults.
 *
 * Nothing here follows what it has not tested, so that a checker may be run on any arena.
 */
#ifndef RH_INSPECT_H
#define RH_INSPECT_H

#include "rh_block.h"

/* Visits [start, end)'s blocks in address order. RH_CORRUPT where a size leads nowhere. */
static inline enum rh_status rh_walk_range(const struct rh_region *region, struct rh_range range,
                                           rh_word header, rh_visitor visit, void *context) {
    rh_word block = range.start;
    while (block != range.end) {
        if (range.end - block < header) return RH_CORRUPT;
        rh_word size = rh_size(region, block);
        bool allocated = (size & RH_TOP_BIT) != 0;
        size &= ~RH_TOP_BIT;
        if (!rh_size_possible(size, header, range.end - block)) return RH_CORRUPT;
        if (!visit(context, block, size, allocated)) return RH_OK;
        block += size;
    }
    return RH_OK;
}

RH_INLINE void rh_stats_begin(struct rh_stats *stats, rh_word available) {
    stats->available = available;
    stats->largest_free_block = 0;
    stats->smallest_free_block = RH_WORD_MAX;
    stats->free_block_count = 0;
    stats->minimum_ever_free = 0;
    stats->allocation_count = 0;
    stats->free_count = 0;
}

/* A visitor that takes one free block into the statistics; a marker counts as an entry only. */
static inline bool rh_stats_add(void *context, rh_word address, rh_word size, bool allocated) {
    struct rh_stats *stats = context;
    (void)address;
    (void)allocated;
    stats->free_block_count++;
    if (size > stats->largest_free_block) stats->largest_free_block = size;
    /* A marker's size of 0 wraps, and is not the smallest. */
    if (size - 1 < stats->smallest_free_block - 1) stats->smallest_free_block = size;
    return true;
}

#define RH_FAULT(broken, at)                                                                       \
    do {                                                                                           \
        fault->rule = (broken);                                                                    \
        fault->address = (at);                                                                     \
        return RH_CORRUPT;                                                                         \
    } while (0)

#if RH_HAS_SHADOW
#define RH_CHECK_SHADOW(region, block)                                                             \
    do {                                                                                           \
        if (!rh_header_intact((region), (block))) RH_FAULT(RH_RULE_OVERWRITTEN, (block));          \
    } while (0)
#else
#define RH_CHECK_SHADOW(region, block) ((void)0)
#endif

#endif
