#include "heap_2.h"

#include "rh_inspect.h"
#include "rh_most.h"

#if RH_HEAD_IS_APART
#define RH2_HEAD(heap) ((void)(heap), (rh_word)0)
#else
#define RH2_HEAD(heap) ((rh_word)(uintptr_t) & (heap)->head)
#endif
#if RH_HOSTED
#define RH2_TAIL(heap) ((heap)->end_marker)
#else
#define RH2_TAIL(heap) ((rh_word)(uintptr_t) & (heap)->tail)
#endif

#define RH2_RANGE(heap, region)                                                                    \
    rh2_range((region), RH_ALIGNMENT_OF(heap), RH_IS_OLD((heap), RH_OLD_START))

RH_API enum rh_status rh2_init(struct rh_heap2 *heap, struct rh_region *region,
                               const struct rh_options *options) {
    const rh_word alignment = RH_ALIGNMENT_OPTION(options);
    if (!rh_alignment_exists(alignment)) return RH_BAD_ALIGNMENT;
    if (RH_CHECK_SETUP) {
        enum rh_status status = rh2_test_region(region, alignment);
        if (status != RH_OK) return status;
    }
#if RH_HOSTED
    const rh_word marker = options->end_marker;
    if (marker == 0 || marker % RH_WORD_BYTES != 0 || marker - region->base < region->size ||
        region->base - marker < 2 * RH_WORD_BYTES)
        return RH_BAD_MARKER;
#endif
    RH_START_COMMON(heap, region, 1, options);
#if RH_HOSTED
    heap->end_marker = marker;
#else
    heap->tail.next = 0;
    heap->tail.size = RH_WORD_MAX;
#endif
    const struct rh_range range = RH2_RANGE(heap, region);
    heap->head.next = range.start;
    heap->head.size = 0;
    heap->free_size = range.end - range.start;
    RH_RESET_COUNTERS(heap);
    rh_put_header(region, range.start, RH2_TAIL(heap), heap->free_size);
    return RH_OK;
}

#if RH_HEAD_IS_APART
RH_INLINE void rh2_put_next(struct rh_heap2 *heap, struct rh_region *region, rh_word entry,
                            rh_word link) {
    if (entry == 0)
        heap->head.next = link;
    else
        rh_put_next(region, entry, link);
}
#else
#define rh2_put_next(heap, region, entry, link) rh_put_next(region, entry, link)
#endif

/* Between which entries does a block of this size belong? `after` is the first entry that is no
 * smaller, or the end marker. */
struct rh2_place {
    rh_word before;
    rh_word after;
    RH_NODES
};

#if RH_RANKED
/* The host defines them. */
RH_SHARED void rh2_ranked_find(struct rh_heap2 *heap, rh_word size, struct rh2_place *place);
RH_SHARED void rh2_ranked_took(struct rh_heap2 *heap, rh_word size);
RH_SHARED void rh2_ranked_gave(struct rh_heap2 *heap, rh_word block, rh_word size);
#define RH2_IS_RANKED(heap) ((heap)->common.rank != NULL)
/* The entries that are changed: such a search has met none. */
#define RH2_MEET(heap, region, entry)                                                              \
    do {                                                                                           \
        if (RH2_IS_RANKED(heap) && (entry) != RH2_HEAD(heap)) RH_VISIT((heap), (region), (entry)); \
    } while (0)
#define RH2_TOOK(heap, size) (RH2_IS_RANKED(heap) ? rh2_ranked_took((heap), (size)) : (void)0)
#define RH2_GAVE(heap, block, size)                                                                \
    (RH2_IS_RANKED(heap) ? rh2_ranked_gave((heap), (block), (size)) : (void)0)
#else
#define RH2_MEET(heap, region, entry) ((void)0)
#define RH2_TOOK(heap, size) ((void)0)
#define RH2_GAVE(heap, block, size) ((void)0)
#endif

/* `verify` is a constant. The end marker ends the search: in firmware by its size. */
RH_STEP enum rh_status rh2_find(RH_FAST struct rh_heap2 *heap, RH_FAST rh_word size,
                                RH_FAST bool verify, RH_FAST struct rh2_place *place) {
    RH_FAST struct rh_region *region = RH_FIRST_REGION(heap);
    RH_FAST rh_word before = RH2_HEAD(heap), after = heap->head.next, nodes = 0;
    (void)verify;
#if RH_RANKED
    if (RH2_IS_RANKED(heap)) {
        rh2_ranked_find(heap, size, place);
        return RH_OK;
    }
#endif
#if defined(__OPTIMIZE_SIZE__) && !RH_HEAD_IS_APART
    /* For size gcc leaves a loop's test where it stands: here, where a turn needs no other branch.
     * The head is an entry like any other. */
    after = before;
    RH_WHILE(true, RH2_MOST_ENTRIES(heap) + 1) { /* and the end marker */
        before = after;
        after = rh_next(region, after);
        RH_COUNT_NODE(nodes);
        if (rh_size(region, after) >= size) break;
    }
#else
    RH_WHILE(true, RH2_MOST_ENTRIES(heap) + 1) { /* and the end marker */
#if RH_HEAD_IS_APART
        if (after == RH2_TAIL(heap)) break;
        if (verify) RH_VISIT(heap, region, after);
#endif
        RH_COUNT_NODE(nodes);
        if (rh_size(region, after) >= size) break;
        before = after;
        after = rh_next(region, after);
    }
#endif
    RH_FORGET(before);
    RH_FORGET(after);
    place->before = before;
    place->after = after;
    RH_SET_NODES(place, nodes);
    return RH_OK;
}

#if RH_HAS_SHADOW
/* Of the entries that the insertion of what is left will read, the search has not met this one. */
RH_INLINE enum rh_status rh2_meet_rest(struct rh_heap2 *heap, struct rh_region *region,
                                       const struct rh2_place *fit, rh_word rest) {
    const rh_word unmet = rh_next(region, fit->after);
#if RH_RANKED
    struct rh2_place place;
    if (RH2_IS_RANKED(heap)) {
        rh2_ranked_find(heap, rest, &place);
        RH2_MEET(heap, region, place.before);
        return RH_OK;
    }
#endif
    if (unmet != RH2_TAIL(heap) &&
        (fit->before == RH2_HEAD(heap) || rh_size(region, fit->before) < rest))
        RH_VISIT(heap, region, unmet);
    return RH_OK;
}
#endif

/* How large a block the request asks for. Otherwise RH_EXHAUSTED; RH_ASSERTION where an older
 * kernel would write outside its blocks. */
RH_STEP enum rh_status rh2_wanted(RH_FAST struct rh_heap2 *heap, RH_FAST rh_word size,
                                  RH_FAST rh_word *wanted) {
    RH_FAST rh_word free_size = heap->free_size;
#if RH_HOSTED
    if (RH_IS_OLD(heap, RH_OLD_UNBOUNDED)) {
        const rh_word limit = RH_FIRST_REGION(heap)->size - RH_ALIGNMENT_OF(heap);
        *wanted = size == 0 ? 0 : RH_BLOCK_BYTES(heap, size);
        if (*wanted == 0 || *wanted >= limit) return RH_EXHAUSTED;
        return *wanted < RH_HEADER_OF(heap) ? RH_ASSERTION : RH_OK;
    }
#endif
    /* 0 wraps. A size that passes is below the top bit, so that the block's cannot overflow. */
    if (size - 1 >= free_size) return RH_EXHAUSTED;
    *wanted = RH_BLOCK_BYTES(heap, size);
    return *wanted > free_size ? RH_EXHAUSTED : RH_OK;
}

RH_API enum rh_status rh2_malloc(struct rh_heap2 *const heap, const rh_word size,
                                 rh_word *const address) {
    RH_FAST struct rh_region *region = RH_FIRST_REGION(heap);
    struct rh2_place fit, place;
    rh_word wanted;
    RH_SET_NODES(heap, 0);

    RH_FAST enum rh_status status = rh2_wanted(heap, size, &wanted);
    if (status != RH_OK) {
        if (status == RH_EXHAUSTED) RH_COUNT_FAILED(heap);
        return status;
    }
    RH_FAST rh_word free_size = heap->free_size;
    status = rh2_find(heap, wanted, true, &fit);
    if (status != RH_OK) return status;
    if (fit.after == RH2_TAIL(heap)) {
        RH_SET_NODES(heap, RH_NODES_OF(&fit));
        RH_COUNT_FAILED(heap);
        return RH_HOSTED && wanted > free_size ? RH_EXHAUSTED : RH_FRAGMENTED;
    }

    RH_FAST rh_word block = fit.after;
    RH2_MEET(heap, region, fit.before);
    RH2_MEET(heap, region, block);
    RH_FAST rh_word after = rh_next(region, block);
    RH_FAST rh_word found = rh_size(region, block);
    RH_SET_NODES(&place, 0);
    /* [      found      ]  =>  [ wanted ][ rest  ]
     * a small rest stays in the block; a larger one goes where its size belongs */
    if (rh_splits(found, wanted, RH_HEADER_OF(heap))) {
        RH_FAST rh_word rest = block + wanted, rest_size = found - wanted;
#if RH_HAS_SHADOW
        status = rh2_meet_rest(heap, region, &fit, rest_size);
        if (status != RH_OK) return status;
#endif
        rh2_put_next(heap, region, fit.before, after);
        rh2_find(heap, rest_size, false, &place);
        rh_put_header(region, rest, place.after, rest_size);
        rh2_put_next(heap, region, place.before, rest);
        RH2_TOOK(heap, found);
        RH2_GAVE(heap, rest, rest_size);
        found = wanted;
    } else {
        rh2_put_next(heap, region, fit.before, after);
        RH2_TOOK(heap, found);
    }
    if (RH_IS_OLD(heap, RH_OLD_UNMARKED))
        rh_put_size(region, block, found);
    else
        rh_put_header(region, block, 0, found | RH_TOP_BIT);
    RH_SET_NODES(heap, RH_NODES_OF(&fit) + RH_NODES_OF(&place));
    heap->free_size = free_size - found;
    RH_LOWER_MINIMUM(heap, free_size - found);
    RH_COUNT_ALLOCATION(heap);
    *address = block + RH_HEADER_OF(heap);
    RH_MARK_LIVE(heap, region, *address);
    return RH_OK;
}

/* The first step of a free: RH_OK iff `block` is a live one; then *size is its size. */
RH_INLINE enum rh_status rh2_live(struct rh_heap2 *const heap, const rh_word block,
                                  rh_word *const size) {
    RH_FAST struct rh_region *region = RH_FIRST_REGION(heap);
    (void)heap;
#if !RH_HAS_SHADOW
    if (RH_IS_OLD(heap, RH_OLD_UNMARKED)) { /* nothing tells a live block from any other bytes */
        RH_VISIT(heap, region, block);
        *size = rh_size(region, block);
        return RH_OK;
    }
#endif
    RH_ASSERT((block & (RH_ALIGNMENT_OF(heap) - 1)) == 0, RH_INVALID_FREE);
#if RH_HAS_SHADOW
    const rh_word address = block + RH_HEADER_OF(heap);
    enum rh_status live =
        rh_live(rh_find_region(&heap->common, address), address, RH_SHIFT_OF(heap));
    if (live != RH_OK) return live;
    if (RH_IS_OLD(heap, RH_OLD_UNMARKED)) {
        *size = rh_size(region, block);
        if (rh_load(region, block + RH_SIZE_AT) != *size)
            return rh_overwritten(&heap->common, block);
        return RH_OK;
    }
#endif
    RH_VISIT(heap, region, block);
    RH_FAST rh_word marked = rh_size(region, block);
    if ((marked & RH_TOP_BIT) == 0 || rh_next(region, block) != 0) {
#if RH_CHECKS == 1 /* on two lines, as in FreeRTOS: which one says which mark is missing */
        if ((marked & RH_TOP_BIT) == 0) RH_ASSERT_FAILED();
        if (rh_next(region, block) != 0) RH_ASSERT_FAILED();
#endif
        return RH_INVALID_FREE;
    }
    *size = marked & ~RH_TOP_BIT;
    return RH_OK;
}

/* The second step: the block goes back into the list. */
RH_INLINE enum rh_status rh2_give_back(struct rh_heap2 *const heap, const rh_word block,
                                       const rh_word size, const bool clears) {
    RH_FAST struct rh_region *region = RH_FIRST_REGION(heap);
    struct rh2_place place;
    RH_FAST enum rh_status status = rh2_find(heap, size, true, &place);
    if (status != RH_OK) return status;

    RH2_MEET(heap, region, place.before);
    RH_SET_NODES(heap, RH_NODES_OF(&place));
    if (clears) rh_clear(region, block, size, RH_HEADER_OF(heap));
    rh_put_header(region, block, place.after, size);
    rh2_put_next(heap, region, place.before, block);
    RH2_GAVE(heap, block, size);
    heap->free_size += size;
    RH_COUNT_FREE(heap);
    RH_MARK_DEAD(heap, region, block + RH_HEADER_OF(heap));
    return RH_OK;
}

RH_API enum rh_status rh2_free(struct rh_heap2 *heap, rh_word address) {
    const rh_word block = address - RH_HEADER_OF(heap);
    rh_word size;
    RH_SET_NODES(heap, 0);
    enum rh_status status = rh2_live(heap, block, &size);
    if (status != RH_OK) return status;
    return rh2_give_back(heap, block, size, RH_CLEARS(heap));
}

RH_API enum rh_status rh2_walk_free(struct rh_heap2 *heap, rh_visitor visit, void *context) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    for (rh_word block = heap->head.next; block != RH2_TAIL(heap); block = rh_next(region, block)) {
        RH_VISIT(heap, region, block);
        if (!visit(context, block, rh_size(region, block), false)) break;
    }
    return RH_OK;
}

RH_API enum rh_status rh2_stats(struct rh_heap2 *heap, struct rh_stats *stats) {
    rh_stats_begin(stats, heap->free_size);
    RH_STATS_MINIMUM(heap, stats);
    RH_STATS_COUNTS(heap, stats);
    return rh2_walk_free(heap, rh_stats_add, stats);
}

#if RH_HAS_SHADOW
/* Only the shadow knows which blocks are allocated. */
RH_INLINE bool rh2_is_live(const struct rh_heap2 *heap, const struct rh_region *region,
                           rh_word block) {
    return rh_live(region, block + RH_HEADER_OF(heap), RH_SHIFT_OF(heap)) == RH_OK;
}

static enum rh_status rh2_walk_unmarked(const struct rh_heap2 *heap, const struct rh_region *region,
                                        rh_visitor visit, void *context) {
    const struct rh_range range = RH2_RANGE(heap, region);
    rh_word size;
    for (rh_word block = range.start; block != range.end; block += size) {
        if (range.end - block < RH_HEADER_OF(heap)) return RH_CORRUPT;
        size = rh_size(region, block);
        if (!rh_size_possible(size, RH_HEADER_OF(heap), range.end - block)) return RH_CORRUPT;
        if (!visit(context, block, size, rh2_is_live(heap, region, block))) return RH_OK;
    }
    return RH_OK;
}
#endif

RH_API enum rh_status rh2_walk(const struct rh_heap2 *heap, const struct rh_region *region,
                               rh_visitor visit, void *context) {
#if RH_HAS_SHADOW
    if (RH_IS_OLD(heap, RH_OLD_UNMARKED)) return rh2_walk_unmarked(heap, region, visit, context);
#endif
    return rh_walk_range(region, RH2_RANGE(heap, region), RH_HEADER_OF(heap), visit, context);
}

RH_API enum rh_status rh2_check(struct rh_heap2 *heap, const struct rh_region *region,
                                struct rh_fault *fault) {
    const rh_word header = RH_HEADER_OF(heap);
    const struct rh_range range = RH2_RANGE(heap, region);
    rh_word free_blocks = 0, free_size = 0, size;
    fault->rule = RH_RULE_NONE;
    fault->address = 0;
    for (rh_word block = range.start; block != range.end; block += size) {
        if (range.end - block < header) RH_FAULT(RH_RULE_SIZE, block);
        size = rh_load(region, block + RH_SIZE_AT);
        bool allocated = (size & RH_TOP_BIT) != 0, marked = true;
#if RH_HAS_SHADOW
        if (RH_IS_OLD(heap, RH_OLD_UNMARKED) && rh2_is_live(heap, region, block)) {
            allocated = true;
            marked = false; /* its link is whatever it was */
            if (size != rh_size(region, block)) RH_FAULT(RH_RULE_OVERWRITTEN, block);
        }
#endif
        if (marked) RH_CHECK_SHADOW(region, block);
        size &= ~RH_TOP_BIT;
        /* Only the last block may have a size that is no multiple of the alignment. */
        if (!rh_size_possible(size, header, range.end - block) ||
            (size % RH_ALIGNMENT_OF(heap) != 0 && size != range.end - block))
            RH_FAULT(RH_RULE_SIZE, block);
        if (allocated && marked && rh_load(region, block) != 0) RH_FAULT(RH_RULE_LIVE_LINK, block);
        if (!allocated) free_blocks++, free_size += size;
    }
    rh_word entry = 0, last_size = 0, listed_size = 0;
    for (rh_word block = heap->head.next; block != RH2_TAIL(heap); block = rh_load(region, block)) {
        if (free_blocks == 0 || block < range.start || block >= range.end ||
            range.end - block < header || block % RH_ALIGNMENT_OF(heap) != 0)
            RH_FAULT(RH_RULE_LINK, entry);
        size = rh_load(region, block + RH_SIZE_AT);
        if ((size & RH_TOP_BIT) != 0) RH_FAULT(RH_RULE_NOT_FREE, block);
        if (size < last_size) RH_FAULT(RH_RULE_ORDER, block);
        free_blocks--;
        listed_size += size;
        last_size = size;
        entry = block;
    }
    if (free_blocks != 0 || listed_size != free_size) RH_FAULT(RH_RULE_NOT_LISTED, entry);
    if (free_size != heap->free_size) RH_FAULT(RH_RULE_FREE_SIZE, 0);
    return RH_OK;
}
