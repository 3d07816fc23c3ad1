/*
 * What heap_4 and heap_5 share: first fit over a free list in address order, with coalescing.
 *
 * The list starts in the heap's `head` and ends at a marker, a header of size 0 at the end of the
 * (last) region. heap_5's other regions end in such a marker too; those are entries of the list.
 * `many` is a constant at every call: false for heap_4, which then pays nothing for regions.
 */
#ifndef RH_FIRST_FIT_H
#define RH_FIRST_FIT_H

#include "rh_block.h"
#include "rh_counters.h"
#include "rh_index.h"
#include "rh_most.h"

/* heap_4's and heap_5's state. The caller owns it; nothing else of the heap lies outside the
 * arena, but for the shadow at RH_CHECKS 2. */
struct rh_heap4 {
    RH_COMMON
    struct rh_header head; /* its link leads to the first free block; its size stays 0 */
    rh_word end;           /* address of the last end marker; 0 before set-up */
#if RH_CHECKS == 1
    rh_word lowest; /* no link leads below it */
#endif
    rh_word free_size;
    RH_COUNTERS
#if RH_HOSTED
    rh_word merged; /* address of the free block that the last free ended in */
#endif
#if RH_HOSTED || RH_PROTECTOR
    rh_word canary;
#endif
#if RH_INDEX
    struct rh_index index;
#endif
};
#if !RH_HAS_REGIONS /* who reads a dump of firmware finds the members so */
RH_STATIC_ASSERT(offsetof(struct rh_heap4, end) == 2 * RH_WORD_BYTES, "end follows the head");
RH_STATIC_ASSERT(offsetof(struct rh_heap4, free_size) == (3 + (RH_CHECKS == 1)) * RH_WORD_BYTES,
                 "free_size follows end, and lowest where there is one");
#endif

/* An entry of the list is named by its address; the head by RH_HEAD, which in firmware is its
 * address too, so that no link is a special case. */
#if RH_HEAD_IS_APART
#define RH_HEAD(heap) ((void)(heap), (rh_word)0)
#else
#define RH_HEAD(heap) ((rh_word)(uintptr_t) & (heap)->head)
#endif

#if RH_HEAD_IS_APART
RH_INLINE void rh_ff_put_next(struct rh_heap4 *heap, struct rh_region *near, rh_word entry,
                              rh_word link, bool many) {
    if (entry == 0)
        heap->head.next = link;
    else
        rh_put_next(RH_REGION_NEAR(heap, near, entry, many), entry, link);
}
#else
#define rh_ff_put_next(heap, near, entry, link, many) ((void)(many), rh_put_next(near, entry, link))
#endif

/* Is the address between the lowest block and the last end marker? FreeRTOS asserts it of a link
 * that it is about to follow. */
#if RH_CHECKS != 1
#define RH_ASSERT_LINK(heap, link) ((void)0)
#elif !defined(RH_ASSERT_LINK)
#define RH_ASSERT_LINK(heap, link)                                                                 \
    RH_ASSERT((link) - (heap)->lowest <= (heap)->end - (heap)->lowest, RH_CORRUPT)
#endif

/* Where the block that was given back ended up. */
#if RH_HOSTED
#define RH_SET_MERGED(heap, block) ((heap)->merged = (block))
#else
#define RH_SET_MERGED(heap, block) ((void)0)
#endif

/* Before the header of a block that is to be freed is read: nothing but a block is, neither
 * another's memory, nor what a bus refuses. */
#if RH_CHECKS != 1
#define RH_ASSERT_BLOCK(heap, block) ((void)0)
#elif !defined(RH_ASSERT_BLOCK)
#define RH_ASSERT_BLOCK(heap, block)                                                               \
    RH_ASSERT((block) - (heap)->lowest < (heap)->end - (heap)->lowest &&                           \
                  ((block) & (RH_ALIGNMENT_OF(heap) - 1)) == 0,                                    \
              RH_INVALID_FREE)
#endif

/* What the header of such a block says must be possible: a double free may find other bytes there
 * by now, which the heap protector's canary can make look like an allocated block's. */
#if RH_CHECKS != 1
#define RH_ASSERT_SIZE(heap, block, size) ((void)0)
#elif !defined(RH_ASSERT_SIZE)
#define RH_ASSERT_SIZE(heap, block, size)                                                          \
    RH_ASSERT((size) >= RH_HEADER_OF(heap) && (size) <= (heap)->end - (block) &&                   \
                  ((size) & (RH_ALIGNMENT_OF(heap) - 1)) == 0,                                     \
              RH_INVALID_FREE)
#endif

/* With an index it is known, too, where each region ends: what lies in a gap between two of them,
 * or reaches into it, is no block. */
#if RH_CHECKS != 1 || !RH_INDEX
#define RH_ASSERT_REGION(heap, block, size, many, status) ((void)0)
#else
#define RH_ASSERT_REGION(heap, block, size, many, status)                                          \
    RH_ASSERT((block) + (size) <= rh_region_of((heap), (block), (many))->end, (status))
#endif

/* Before an entry that a link names is read. */
#define RH_FF_MEET(heap, region, entry, many)                                                      \
    do {                                                                                           \
        RH_ASSERT_LINK((heap), (entry));                                                           \
        RH_ASSERT_REGION((heap), (entry), 0, (many), RH_CORRUPT);                                  \
        (region) = RH_REGION_NEAR((heap), (region), (entry), (many));                              \
        RH_VISIT((heap), (region), (entry));                                                       \
    } while (0)

/* What a malloc takes: a free block, and the entry whose link leads to it. */
struct rh_ff_fit {
    rh_word before;
    rh_word block;
    rh_word size;
#if RH_HAS_REGIONS
    struct rh_region *region; /* the block's */
#endif
#if RH_INDEX
    rh_word first; /* of the entries in the chunk that the index led to */
#endif
#if RH_RANKED
    uint32_t place; /* the block's in the host's index */
#endif
};

/* Between which entries of the list a block goes. */
struct rh_ff_gap {
    rh_word before;
    rh_word after;
#if RH_HAS_REGIONS
    struct rh_region *region; /* that of `before` */
#endif
    RH_NODES
#if RH_RANKED
    uint32_t place; /* the block's */
#endif
};
#if RH_HAS_REGIONS
#define RH_SET_REGION(of, found) ((of)->region = (found))
#define RH_REGION_IN(of) ((of)->region)
#else
#define RH_SET_REGION(of, found) ((void)(found))
#define RH_REGION_IN(of) ((struct rh_region *)NULL)
#endif

/* Is there a second way to search the list: the index of a build, or a host's? */
#define RH_HAS_INDEX (RH_INDEX || RH_RANKED)

#if RH_HAS_INDEX
/* A block that is given back. */
struct rh_ff_gift {
    rh_word block;
    rh_word size;
    rh_word whole;       /* with the entry after it, where it joins that */
    rh_word before_size; /* of the entry before it */
    bool joins_before;
    bool joins_after;
};

RH_STEP enum rh_status rh_ff_place(RH_FAST struct rh_heap4 *heap, RH_FAST rh_word block,
                                   RH_FAST bool many, RH_FAST struct rh_ff_gap *gap);
#endif
#if RH_INDEX
#include "rh_first_fit_index.h"
#else
#define RH_INDEX_STATE(state) ((void)0)
#define RH_INDEX_BEGIN(state) ((void)0)
#define RH_INDEX_ADD(state, range, shift, many) ((void)0)
#define RH_INDEX_HAS_ROOM(state) true
#define RH_INDEX_BUILD(heap, state, many) ((void)0)
#define RH_NEAR_TOOK(heap, rest) ((void)(rest))
#endif
#if RH_RANKED
/* The host defines them. */
RH_INLINE enum rh_status rh_ranked_find(struct rh_heap4 *heap, rh_word wanted, bool many,
                                        struct rh_ff_fit *fit);
RH_INLINE enum rh_status rh_ranked_place(struct rh_heap4 *heap, rh_word block, bool many,
                                         struct rh_ff_gap *gap);
RH_INLINE void rh_ranked_took(struct rh_heap4 *heap, const struct rh_ff_fit *fit, rh_word rest,
                              bool many);
RH_INLINE void rh_ranked_gave(struct rh_heap4 *heap, const struct rh_ff_gap *gap,
                              const struct rh_ff_gift *gift, bool many);
#define RH_HAS_FAR(heap) ((heap)->common.rank != NULL)
#define RH_IS_FAR(heap, block) RH_HAS_FAR(heap)
#define RH_INDEX_GAVE(heap, gap, gift, many, far)                                                  \
    ((far) ? rh_ranked_gave((heap), (gap), (gift), (many)) : (void)0)
#define RH_FAR_SHARED RH_INLINE
#define rh_index_find(heap, wanted, many, fit) rh_ranked_find((heap), (wanted), (many), (fit))
#define rh_index_took(heap, fit, rest, many) rh_ranked_took((heap), (fit), (rest), (many))
#define RH_FAR_PLACE(heap, block, many, gap) rh_ranked_place((heap), (block), (many), (gap))
#elif !RH_INDEX
#define RH_FAR_SHARED RH_INLINE
#define RH_FAR_PLACE(heap, block, many, gap) RH_OK
#endif

/* Where first fit finds `wanted` bytes: the first entry that is large enough. Otherwise
 * RH_FRAGMENTED, or RH_CORRUPT as rh_ff_malloc(). It sets the heap's number of nodes. */
RH_STEP enum rh_status rh_ff_find(RH_FAST struct rh_heap4 *heap, RH_FAST rh_word wanted,
                                  RH_FAST bool many, RH_FAST struct rh_ff_fit *fit) {
    RH_FAST struct rh_region *region = RH_FIRST_REGION(heap);
    RH_FAST rh_word before = RH_HEAD(heap);
    RH_FAST rh_word block = heap->head.next ^ RH_CANARY_OF(heap);
    RH_FAST rh_word found, nodes = 0;
    RH_WHILE(true, RH_LOOP_REGIONS(heap)) {
        RH_FF_MEET(heap, region, block, many);
        found = rh_size(region, block);
        /* a marker's size of 0 wraps: it ends as a hit does */
        RH_WHILE(found - 1 < wanted - 1, RH_FF_TURNS(RH_FF_MOST_ENTRIES(heap))) {
            RH_COUNT_NODE(nodes);
            RH_FAST rh_word next = rh_next(region, block) ^ RH_CANARY_OF(heap);
            RH_FF_MEET(heap, region, next, many);
            found = rh_size(region, next);
#if RH_TWO_TO_A_TURN
            if (found - 1 >= wanted - 1) {
                RH_FORGET(next);
                before = block;
                block = next;
                break;
            }
            RH_COUNT_NODE(nodes);
            before = next;
            block = rh_next(region, next) ^ RH_CANARY_OF(heap);
            RH_FF_MEET(heap, region, block, many);
            found = rh_size(region, block);
#else
            before = block;
            block = next;
#endif
        }
        RH_FORGET(before);
        RH_FORGET(block);
        if (found != 0) break;
        if (!many || block == heap->end) {
            RH_SET_NODES(heap, nodes);
            return RH_FRAGMENTED;
        }
        RH_COUNT_NODE(nodes); /* heap_5: the marker of a region that others follow */
        before = block;
        block = rh_next(region, block) ^ RH_CANARY_OF(heap);
    }
    RH_COUNT_NODE(nodes);
    RH_SET_NODES(heap, nodes);
    fit->before = before;
    fit->block = block;
    fit->size = found;
    RH_SET_REGION(fit, region);
    return RH_OK;
}

/* What an allocated block's link holds. */
#define RH_LIVE_LINK(heap) (RH_IS_OLD((heap), RH_OLD_PLAIN_LINK) ? 0 : RH_CANARY_OF(heap))

#if RH_HOSTED
/* Where a marker of heap_5 begins at `end` and is the next entry, the link that follows it: the
 * block before takes it in. */
RH_INLINE rh_word rh_ff_absorbed(struct rh_heap4 *heap, const struct rh_region *region, rh_word end,
                                 rh_word link) {
    const rh_word after = link ^ RH_CANARY_OF(heap);
    return after == end && after != heap->end ? rh_next(region, after) : link;
}
#endif

/* Takes `wanted` bytes of the block that was found, and of the `free_size` that are free in all.
 * How many they are, with a rest that is too small to be split off. */
RH_STEP rh_word rh_ff_take(RH_FAST struct rh_heap4 *heap, RH_FAST const struct rh_ff_fit *fit,
                           RH_FAST rh_word wanted, RH_FAST rh_word free_size, RH_FAST bool many) {
    /* before -> [      found      ] -> after
     * before -> [ wanted ][ rest  ] -> after     a small rest stays in the block */
    RH_MARK_LIVE(heap, RH_REGION_IN(fit), fit->block + RH_HEADER_OF(heap));
    RH_KEEP_REGION(kept, RH_REGION_IN(fit));
    RH_FAST rh_word found = fit->size;
    RH_FAST rh_word after = rh_next(RH_KEPT(kept, RH_REGION_IN(fit)), fit->block);
    if (rh_splits(found, wanted, RH_HEADER_OF(heap))) {
        RH_FAST rh_word rest = fit->block + wanted;
#if RH_HOSTED
        if (RH_IS_OLD(heap, RH_OLD_ABSORB)) {
            const rh_word listed = after;
            after = rh_ff_absorbed(heap, fit->region, rest + (found - wanted), listed);
            /* The insertion reads what the search did but for the block, and such a marker. */
            RH_SET_NODES(heap, heap->nodes + heap->nodes - 1 + (after != listed));
        }
#endif
        rh_put_header(RH_KEPT(kept, RH_REGION_IN(fit)), rest, after, found - wanted);
        after = rest ^ RH_CANARY_OF(heap);
        found = wanted;
    }
    rh_ff_put_next(heap, RH_KEPT(kept, RH_REGION_IN(fit)), fit->before, after, many);
    rh_put_header(RH_KEPT(kept, RH_REGION_IN(fit)), fit->block, RH_LIVE_LINK(heap),
                  found | RH_TOP_BIT);
    /* an index needs the registers meanwhile */
    RH_FAST rh_word left = (RH_INDEX ? heap->free_size : free_size) - found;
    heap->free_size = left;
    RH_LOWER_MINIMUM(heap, left);
    RH_COUNT_ALLOCATION(heap);
    return found;
}

/* Ends a malloc of which the search found nothing. */
#define RH_FF_REFUSE(heap, status)                                                                 \
    do {                                                                                           \
        if (RH_IS_OLD((heap), RH_OLD_ASSERT) && (status) == RH_FRAGMENTED) return RH_ASSERTION;    \
        if ((status) == RH_FRAGMENTED) RH_COUNT_FAILED(heap);                                      \
        if ((status) != RH_OK) return (status);                                                    \
    } while (0)

#if RH_HAS_INDEX
/* Allocates a block of `wanted` bytes, where there is an index to search. */
RH_FAR_SHARED enum rh_status rh_far_allocate(struct rh_heap4 *heap, rh_word wanted,
                                             rh_word *address, bool many) {
    struct rh_ff_fit fit;
    const enum rh_status status = rh_index_find(heap, wanted, many, &fit);
    RH_FF_REFUSE(heap, status);
    const rh_word found = rh_ff_take(heap, &fit, wanted, heap->free_size, many);
    *address = fit.block + RH_HEADER_OF(heap);
    rh_index_took(heap, &fit, fit.size - found, many);
    return RH_OK;
}
#endif

/*
 * On RH_OK *address is the payload's. Otherwise the heap is as it was: RH_EXHAUSTED iff the block
 * needs more bytes than are free (or `size` is 0), RH_FRAGMENTED iff no free block is that large,
 * RH_CORRUPT iff a header that was met is not the heap's.
 */
RH_INLINE enum rh_status rh_ff_malloc(struct rh_heap4 *const heap, const rh_word size,
                                      rh_word *const address, const bool many) {
    RH_SET_NODES(heap, 0);

    /* 0 wraps. A size that passes is below the top bit, so that the block's cannot overflow. */
    RH_FAST rh_word free_size = heap->free_size;
    if (size - 1 >= free_size) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    RH_FAST rh_word wanted = RH_BLOCK_BYTES(heap, size);
    if (wanted > free_size) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
#if RH_HAS_INDEX
    if (RH_HAS_FAR(heap)) return rh_far_allocate(heap, wanted, address, many);
#endif
    struct rh_ff_fit fit;
    RH_FAST enum rh_status status = rh_ff_find(heap, wanted, many, &fit);
    RH_FF_REFUSE(heap, status);
    RH_FAST rh_word found = rh_ff_take(heap, &fit, wanted, free_size, many);
    *address = fit.block + RH_HEADER_OF(heap);
    RH_NEAR_TOOK(heap, fit.size - found);
    return RH_OK;
}

/* The first step of a free: RH_OK iff `block` is a live one; then *size is its size and *found its
 * region. Otherwise as rh_ff_free(). */
RH_INLINE enum rh_status rh_ff_live(struct rh_heap4 *const heap, const rh_word block,
                                    const bool many, struct rh_region **const found,
                                    rh_word *const size) {
    RH_FAST struct rh_region *region = RH_FIRST_REGION(heap);
    RH_ASSERT_BLOCK(heap, block);
    RH_ASSERT_REGION(heap, block, 0, many, RH_INVALID_FREE);
#if RH_HAS_SHADOW
    const rh_word address = block + RH_HEADER_OF(heap);
    if (many)
        region = rh_find_region(&heap->common, address);
    else if (address - region->base >= region->size)
        region = NULL;
    enum rh_status live = rh_live(region, address, RH_SHIFT_OF(heap));
    if (live != RH_OK) return live;
#else
    region = RH_REGION_NEAR(heap, region, block, many);
#endif
    RH_VISIT(heap, region, block);
    RH_FAST rh_word marked = rh_size(region, block);
#if !RH_HAS_SHADOW /* where a block is live, it has its marks in the shadow */
    if ((marked & RH_TOP_BIT) == 0 || rh_next(region, block) != RH_LIVE_LINK(heap)) {
#if RH_CHECKS == 1 /* on two lines, as in FreeRTOS: which one says which mark is missing */
        if ((marked & RH_TOP_BIT) == 0) RH_ASSERT_FAILED();
        if (rh_next(region, block) != RH_LIVE_LINK(heap)) RH_ASSERT_FAILED();
#endif
        return RH_INVALID_FREE;
    }
#endif
    RH_ASSERT_SIZE(heap, block, marked & ~RH_TOP_BIT);
    RH_ASSERT_REGION(heap, block, marked & ~RH_TOP_BIT, many, RH_INVALID_FREE);
#if RH_HAS_REGIONS
    *found = region;
#else
    (void)found;
#endif
    *size = marked & ~RH_TOP_BIT;
    return RH_OK;
}

/* Where a block belongs by its address. RH_CORRUPT as rh_ff_free(). */
RH_STEP enum rh_status rh_ff_place(RH_FAST struct rh_heap4 *heap, RH_FAST rh_word block,
                                   RH_FAST bool many, RH_FAST struct rh_ff_gap *gap) {
    RH_FAST rh_word nodes = 0;
    RH_FAST struct rh_region *near = RH_FIRST_REGION(heap);
    RH_FAST rh_word before = RH_HEAD(heap);
    RH_FAST rh_word after = heap->head.next ^ RH_CANARY_OF(heap);
    RH_WHILE(after < block, RH_FF_TURNS(RH_FF_MOST_BEFORE(heap))) {
        near = RH_REGION_NEAR(heap, near, after, many);
        RH_VISIT(heap, near, after);
        RH_COUNT_NODE(nodes);
        RH_FAST rh_word next = rh_next(near, after) ^ RH_CANARY_OF(heap);
#if RH_TWO_TO_A_TURN
        if (next >= block) {
            RH_FORGET(next);
            before = after;
            after = next;
            break;
        }
        near = RH_REGION_NEAR(heap, near, next, many);
        RH_VISIT(heap, near, next);
        RH_COUNT_NODE(nodes);
        before = next;
        after = rh_next(near, next) ^ RH_CANARY_OF(heap);
#else
        before = after;
        after = next;
#endif
    }
    RH_FORGET(before);
    RH_FORGET(after);
    gap->before = before;
    gap->after = after;
    RH_SET_REGION(gap, near);
    RH_SET_NODES(gap, nodes);
    return RH_OK;
}

#if RH_INDEX && RH_INDEX_NEAR > 0
RH_FAR_SHARED enum rh_status rh_far_release(struct rh_heap4 *heap, struct rh_region *region,
                                            rh_word block, rh_word size, bool clears, bool many);
#endif

/* Gives a block back. `far` is a constant: whether the index says where it belongs. */
RH_INLINE enum rh_status rh_ff_release(struct rh_heap4 *const heap, struct rh_region *const region,
                                       const rh_word block, const rh_word size, const bool clears,
                                       const bool many, const bool far) {
    struct rh_ff_gap gap;
    RH_FAST enum rh_status status =
        far ? RH_FAR_PLACE(heap, block, many, &gap) : rh_ff_place(heap, block, many, &gap);
    if (status != RH_OK) return status;

    /* [block][after] -> x   =>  [    block     ] -> x      a marker of heap_5 is absorbed so too */
    RH_FAST rh_word whole = size;
    RH_FAST rh_word link = gap.after ^ RH_CANARY_OF(heap);
    RH_FAST bool joins_after = block + size == gap.after && gap.after != heap->end;
    if (joins_after) {
#if RH_INDEX && RH_INDEX_NEAR > 0
        if (!far && RH_JOINS_FAR(heap, gap.after))
            return rh_far_release(heap, region, block, size, clears, many);
#endif
        RH_VISIT(heap, region, gap.after);
        link = rh_next(region, gap.after);
        whole += rh_size(region, gap.after);
    }
    RH_SET_NODES(heap, RH_NODES_OF(&gap) + joins_after);

    RH_KEEP_REGION(kept, region);
    RH_KEEP_REGION(near, RH_REGION_IN(&gap));
    if (clears) rh_clear(RH_KEPT(kept, region), block, size, RH_HEADER_OF(heap));
    heap->free_size += size;
    RH_COUNT_FREE(heap);
    RH_ON_FREE(heap, block + RH_HEADER_OF(heap), size);
    RH_MARK_DEAD(heap, RH_KEPT(kept, region), block + RH_HEADER_OF(heap));

    /* [before][block]       =>  [    before    ]      the head's size is 0: it ends at no block.
     * The header that is swallowed keeps its zero link and its size, no more allocated: FreeRTOS
     * leaves it so. */
#if RH_HEAD_IS_APART
    RH_FAST rh_word before_size =
        gap.before == 0 ? 0 : rh_size(RH_KEPT(near, RH_REGION_IN(&gap)), gap.before);
#else
    RH_FAST rh_word before_size = rh_header_at(gap.before)->size;
#endif
    RH_FAST bool joins_before = gap.before + before_size == block;
    if (joins_before) {
        rh_put_size(RH_KEPT(kept, region), block, size);
        rh_put_header(RH_KEPT(kept, region), gap.before, link, before_size + whole);
        RH_SET_MERGED(heap, gap.before);
    } else {
        rh_ff_put_next(heap, RH_KEPT(near, RH_REGION_IN(&gap)), gap.before,
                       block ^ RH_CANARY_OF(heap), many);
        rh_put_header(RH_KEPT(kept, region), block, link, whole);
        RH_SET_MERGED(heap, block);
    }
#if RH_HAS_INDEX
    const struct rh_ff_gift gift = {block, size, whole, before_size, joins_before, joins_after};
    RH_INDEX_GAVE(heap, &gap, &gift, many, far);
#endif
    return RH_OK;
}

#if RH_HAS_INDEX
RH_FAR_SHARED enum rh_status rh_far_release(struct rh_heap4 *heap, struct rh_region *region,
                                            rh_word block, rh_word size, bool clears, bool many) {
    return rh_ff_release(heap, region, block, size, clears, many, true);
}
#endif

/* The second step: the block goes back into the list. RH_CORRUPT as rh_ff_free(). */
#if RH_HAS_INDEX
RH_INLINE enum rh_status rh_ff_give_back(struct rh_heap4 *heap, struct rh_region *region,
                                         rh_word block, rh_word size, bool clears, bool many) {
    if (RH_IS_FAR(heap, block)) return rh_far_release(heap, region, block, size, clears, many);
    return rh_ff_release(heap, region, block, size, clears, many, false);
}
#else
#define rh_ff_give_back(heap, region, block, size, clears, many)                                   \
    rh_ff_release((heap), (region), (block), (size), (clears), (many), false)
#endif

/*
 * RH_OK iff `address` is a live block's payload. Otherwise the heap is as it was:
 * RH_INVALID_FREE (at RH_CHECKS 2 RH_DOUBLE_FREE, if malloc ever returned the address), or
 * RH_CORRUPT iff a header that was met is not the heap's.
 */
RH_INLINE enum rh_status rh_ff_free(struct rh_heap4 *heap, rh_word address, bool many) {
    const rh_word block = address - RH_HEADER_OF(heap);
    struct rh_region *region = NULL;
    rh_word size;
    RH_SET_NODES(heap, 0);
    enum rh_status status = rh_ff_live(heap, block, many, &region, &size);
    if (status != RH_OK) return status;
    return rh_ff_give_back(heap, region, block, size, RH_CLEARS(heap), many);
}

/* The shared end of set-up: the list is in the arena, and head, end and free size are set. */
RH_INLINE void rh_ff_start(struct rh_heap4 *heap, rh_word lowest) {
    (void)lowest;
    heap->head.size = 0;
#if RH_CHECKS == 1
    heap->lowest = lowest;
#endif
    RH_RESET_COUNTERS(heap);
}

#endif
