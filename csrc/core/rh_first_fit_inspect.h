/*
 * Looking at heap_4 and heap_5 without changing them: the free list, statistics, and the checker.
 */
#ifndef RH_FIRST_FIT_INSPECT_H
#define RH_FIRST_FIT_INSPECT_H

#include "rh_first_fit.h"
#include "rh_inspect.h"

/* Visits the free list of heap_4 or heap_5 in its order, inner markers included. */
RH_INLINE enum rh_status rh_ff_walk_free(struct rh_heap4 *heap, rh_visitor visit, void *context,
                                         bool many) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word block = heap->head.next ^ RH_CANARY_OF(heap);
    while (block != heap->end) {
        region = RH_REGION_NEAR(heap, region, block, many);
        RH_VISIT(heap, region, block);
        if (!visit(context, block, rh_size(region, block), false)) return RH_OK;
        block = rh_next(region, block) ^ RH_CANARY_OF(heap);
    }
    return RH_OK;
}

RH_INLINE enum rh_status rh_ff_stats(struct rh_heap4 *heap, struct rh_stats *stats, bool many) {
    /* Before set-up head and end are 0: the list is empty, and there is no smallest block. */
    rh_stats_begin(stats, 0);
    enum rh_status status = rh_ff_walk_free(heap, rh_stats_add, stats, many);
    stats->available = heap->free_size;
    RH_STATS_MINIMUM(heap, stats);
    RH_STATS_COUNTS(heap, stats);
#if RH_HOSTED
    if (RH_IS_OLD(heap, RH_OLD_SMALLEST) && stats->smallest_free_block > 0xFFFFFFFFu)
        stats->smallest_free_block = 0xFFFFFFFFu;
#endif
    /* An empty list's end is followed, to a null link. */
    if (RH_IS_OLD(heap, RH_OLD_EMPTY) && heap->end != 0 &&
        (heap->head.next ^ RH_CANARY_OF(heap)) == heap->end)
        return RH_ASSERTION;
    return status;
}

/* What the checker carries from block to block and from region to region. */
struct rh_ff_checker {
    rh_word expected; /* the entry that the list leads to next */
    rh_word entry;    /* the entry whose link said so */
    rh_word free_size;
};

static inline enum rh_status rh_ff_check_region(const struct rh_heap4 *heap,
                                                const struct rh_region *region,
                                                struct rh_ff_checker *list,
                                                struct rh_fault *fault) {
    const rh_word header = RH_HEADER_OF(heap);
    const struct rh_range range = rh_ff_range(region, RH_ALIGNMENT_OF(heap), header);
    bool previous_free = false;
    rh_word size;
    for (rh_word block = range.start; block != range.end; block += size) {
        if (range.end - block < header) RH_FAULT(RH_RULE_SIZE, block);
        RH_CHECK_SHADOW(region, block);
        size = rh_load(region, block + RH_SIZE_AT);
        const rh_word next = rh_load(region, block) ^ RH_CANARY_OF(heap);
        const bool allocated = (size & RH_TOP_BIT) != 0;
        size &= ~RH_TOP_BIT;
        if (!rh_size_possible(size, header, range.end - block) ||
            (size & (RH_ALIGNMENT_OF(heap) - 1)) != 0)
            RH_FAULT(RH_RULE_SIZE, block);
        if (list->expected < block) RH_FAULT(RH_RULE_LINK, list->entry);
        if (allocated) {
            if (list->expected == block) RH_FAULT(RH_RULE_NOT_FREE, block);
            if (rh_load(region, block) != RH_LIVE_LINK(heap)) RH_FAULT(RH_RULE_LIVE_LINK, block);
        } else {
            if (list->expected != block) RH_FAULT(RH_RULE_NOT_LISTED, block);
            if (previous_free) RH_FAULT(RH_RULE_NOT_COALESCED, block);
            if (next <= block) RH_FAULT(RH_RULE_ORDER, block);
            list->free_size += size;
            list->entry = block;
            list->expected = next;
        }
        previous_free = !allocated;
    }
    if (list->expected < range.end) RH_FAULT(RH_RULE_LINK, list->entry);
    if (list->expected == range.end) { /* else an inner marker that was absorbed */
        RH_CHECK_SHADOW(region, range.end);
        const rh_word next = rh_load(region, range.end) ^ RH_CANARY_OF(heap);
        if (rh_load(region, range.end + RH_SIZE_AT) != 0) RH_FAULT(RH_RULE_END_MARKER, range.end);
        if (range.end == heap->end ? next != 0 : next <= range.end)
            RH_FAULT(RH_RULE_END_MARKER, range.end);
        list->entry = range.end;
        list->expected = next;
    } else if (range.end == heap->end) {
        RH_FAULT(RH_RULE_LINK, list->entry);
    }
    return RH_OK;
}

/* Holds every block, link and marker to the rules; *fault says which is broken first, and where.
 * It reads nothing outside the regions, whatever the arena holds. */
static inline enum rh_status rh_ff_check(const struct rh_heap4 *heap,
                                         const struct rh_region *regions, size_t count,
                                         struct rh_fault *fault) {
    fault->rule = RH_RULE_NONE;
    fault->address = 0;
    if (heap->end == 0) return RH_OK;
    struct rh_ff_checker list = {heap->head.next ^ RH_CANARY_OF(heap), 0, 0};
    for (size_t i = 0; i < count; i++) {
        enum rh_status status = rh_ff_check_region(heap, &regions[i], &list, fault);
        if (status != RH_OK) return status;
    }
    if (list.free_size != heap->free_size) RH_FAULT(RH_RULE_FREE_SIZE, 0);
    return RH_OK;
}

#endif
