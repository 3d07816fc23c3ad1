#include "newlib_nano.h"

#include "rh_inspect.h"

/* The smallest chunk, and the smallest rest that stays in the list. */
#define NANO_LEAST 12u
#define NANO_MINUS_4 ((rh_word)-4)

/* A chunk's fields. While it is free, size and link are its header. */
#define NANO_LINK_AT 4u

static rh_word nano_break(const struct rh_nano *heap) {
    return heap->common.regions[0].base + heap->reached;
}

static rh_word nano_rest(const struct rh_nano *heap) {
    return heap->common.regions[0].size - heap->reached;
}

static rh_word nano_payload(rh_word chunk) {
    return rh_up(chunk + 4, RH_NANO_ALIGNMENT);
}

RH_API enum rh_status rhn_init(struct rh_nano *heap, struct rh_region *region) {
    if (!rh_in_range(region->base, region->size)) return RH_OUT_OF_RANGE;
    if (region->base == 0) return RH_AT_ZERO;
    const struct rh_options options = {.alignment = RH_NANO_ALIGNMENT};
    if (region->size < NANO_LEAST + (rh_up(region->base, 4) - region->base)) return RH_TOO_SMALL;
    RH_START_COMMON(heap, region, 1, &options);
    heap->first = 0;
    heap->lowest = 0;
    heap->reached = 0;
    heap->free_size = region->size;
    RH_RESET_COUNTERS(heap);
    return RH_OK;
}

static void nano_put_link(struct rh_nano *heap, rh_word chunk, rh_word link) {
    if (chunk == 0)
        heap->first = link;
    else
        rh_put(RH_FIRST_REGION(heap), chunk + NANO_LINK_AT, link);
}

/* A chunk of `size` bytes from sbrk, or 0. An unaligned break costs a second call, whose failure
 * loses what the first one gave. */
static rh_word nano_grow(struct rh_nano *heap, rh_word size) {
    rh_word chunk = nano_break(heap);
    const rh_word more = rh_up(chunk, 4) - chunk;
    if (size > nano_rest(heap)) return 0;
    heap->reached += size;
    heap->free_size -= size;
    if (more > nano_rest(heap)) return 0;
    heap->reached += more;
    heap->free_size -= more;
    chunk += more;
    if (heap->lowest == 0) heap->lowest = chunk;
    rh_put(RH_FIRST_REGION(heap), chunk, size);
    return chunk;
}

RH_API enum rh_status rhn_malloc(struct rh_nano *heap, rh_word size, rh_word *address) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word wanted = rh_up(size, 4) + 8, nodes = 0;
    RH_SET_NODES(heap, 0);
    if (wanted >= RH_TOP_BIT || wanted < size) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    if (wanted < NANO_LEAST) wanted = NANO_LEAST;

    rh_word before = 0, chunk = heap->first, found = 0;
    while (chunk != 0) {
        RH_VISIT(heap, region, chunk);
        RH_COUNT_NODE(nodes);
        found = rh_get(region, chunk);
        if (found >= wanted) break;
        before = chunk;
        chunk = rh_get(region, chunk + NANO_LINK_AT);
    }
    RH_SET_NODES(heap, nodes);
    if (chunk == 0) {
        const bool exhausted = wanted > heap->free_size;
        chunk = nano_grow(heap, wanted);
        if (chunk == 0) {
            RH_COUNT_FAILED(heap);
            RH_LOWER_MINIMUM(heap, heap->free_size);
            return exhausted ? RH_EXHAUSTED : RH_FRAGMENTED;
        }
    } else if (found - wanted >= NANO_LEAST) {
        /* [      found      ]  =>  [  rest  ][ wanted ]     the rest stays in the list */
        rh_put(region, chunk, found - wanted);
        chunk += found - wanted;
        rh_put(region, chunk, wanted);
        heap->free_size -= wanted;
    } else {
        nano_put_link(heap, before, rh_get(region, chunk + NANO_LINK_AT));
        heap->free_size -= found;
    }
    *address = nano_payload(chunk);
    if (*address != chunk + 4) rh_put(region, chunk + 4, NANO_MINUS_4);
    RH_LOWER_MINIMUM(heap, heap->free_size);
    RH_COUNT_ALLOCATION(heap);
    RH_MARK_LIVE(heap, region, *address);
    return RH_OK;
}

RH_API rh_word rhn_chunk(const struct rh_nano *heap, rh_word address) {
    const bool shifted = rh_get(RH_FIRST_REGION(heap), address - 4) == NANO_MINUS_4;
    return address - (shifted ? 8 : 4);
}

#if RH_HAS_SHADOW
/* Are the words that a live chunk has outside its payload what malloc wrote? */
static bool nano_live_intact(const struct rh_region *region, rh_word chunk) {
    if (rh_load(region, chunk) != rh_shadow_load(region, chunk)) return false;
    return nano_payload(chunk) == chunk + 4 || rh_load(region, chunk + 4) == NANO_MINUS_4;
}
#endif

RH_API enum rh_status rhn_free(struct rh_nano *heap, rh_word address) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word nodes = 0;
    RH_SET_NODES(heap, 0);
#if RH_HAS_SHADOW
    enum rh_status live =
        rh_live(rh_find_region(&heap->common, address), address, RH_SHIFT_OF(heap));
    if (live != RH_OK) return live;
#endif
    const rh_word chunk = rhn_chunk(heap, address);
#if RH_HAS_SHADOW
    if (!nano_live_intact(region, chunk)) return rh_overwritten(&heap->common, chunk);
#endif
    rh_word size = rh_get(region, chunk);
    const rh_word freed = size;

    rh_word before = 0, after = heap->first;
    while (after != 0 && after < chunk) {
        RH_VISIT(heap, region, after);
        RH_COUNT_NODE(nodes);
        before = after;
        after = rh_get(region, after + NANO_LINK_AT);
    }
    const bool swallows = after != 0 && chunk + size == after;
    if (swallows) {
        RH_VISIT(heap, region, after);
        RH_COUNT_NODE(nodes);
    }
    RH_SET_NODES(heap, nodes);

    rh_word link = after;
    if (swallows) {
        size += rh_get(region, after);
        link = rh_get(region, after + NANO_LINK_AT);
    }
    if (before != 0 && before + rh_get(region, before) == chunk) {
        /* [before][chunk]  =>  [    before    ]     the chunk's own words stay */
        rh_put(region, before, rh_get(region, before) + size);
        if (swallows) rh_put(region, before + NANO_LINK_AT, link);
    } else {
        /* [chunk][after]   =>  [    chunk     ] */
        rh_put(region, chunk, size);
        rh_put(region, chunk + NANO_LINK_AT, link);
        nano_put_link(heap, before, chunk);
    }
    heap->free_size += freed;
    RH_COUNT_FREE(heap);
    RH_MARK_DEAD(heap, region, address);
    return RH_OK;
}

RH_API enum rh_status rhn_walk_free(struct rh_nano *heap, rh_visitor visit, void *context) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    for (rh_word chunk = heap->first; chunk != 0; chunk = rh_get(region, chunk + NANO_LINK_AT)) {
        RH_VISIT(heap, region, chunk);
        if (!visit(context, chunk, rh_get(region, chunk), false)) return RH_OK;
    }
    if (nano_rest(heap) != 0) visit(context, nano_break(heap), nano_rest(heap), false);
    return RH_OK;
}

RH_API enum rh_status rhn_stats(struct rh_nano *heap, struct rh_stats *stats) {
    rh_stats_begin(stats, heap->free_size);
    RH_STATS_MINIMUM(heap, stats);
    RH_STATS_COUNTS(heap, stats);
    return rhn_walk_free(heap, rh_stats_add, stats);
}

/* The list is in address order, so that a walk by sizes meets each free chunk as it is due. */
RH_API enum rh_status rhn_walk(const struct rh_nano *heap, rh_visitor visit, void *context) {
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word end = nano_break(heap);
    rh_word due = heap->first, size;
    for (rh_word chunk = heap->lowest; chunk != 0 && chunk != end; chunk += size) {
        size = rh_get(region, chunk);
        if (size < NANO_LEAST || size > end - chunk) return RH_CORRUPT;
        const bool is_free = chunk == due;
        if (is_free) due = rh_get(region, chunk + NANO_LINK_AT);
        if (!visit(context, chunk, size, !is_free)) return RH_OK;
    }
    if (nano_rest(heap) != 0) visit(context, end, nano_rest(heap), false);
    return RH_OK;
}

RH_API enum rh_status rhn_check(struct rh_nano *heap, struct rh_fault *fault) {
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word end = nano_break(heap);
    rh_word due = heap->first, entry = 0, total = 0, size;
    fault->rule = RH_RULE_NONE;
    fault->address = 0;
    for (rh_word chunk = heap->lowest; chunk != 0 && chunk != end; chunk += size) {
        /* By offsets: the break may lie at the end of the address space, which is 0. */
        if (chunk - region->base > heap->reached || end - chunk < NANO_LEAST)
            RH_FAULT(RH_RULE_SIZE, chunk);
        const bool is_free = chunk == due;
#if RH_HAS_SHADOW
        if (!(is_free ? rh_header_intact(region, chunk) : nano_live_intact(region, chunk)))
            RH_FAULT(RH_RULE_OVERWRITTEN, chunk);
#endif
        size = rh_load(region, chunk);
        if (size < NANO_LEAST || size > end - chunk || size % 4 != 0) RH_FAULT(RH_RULE_SIZE, chunk);
        if (due != 0 && due < chunk) RH_FAULT(RH_RULE_LINK, entry);
        if (is_free) {
            total += size;
            entry = chunk;
            due = rh_load(region, chunk + NANO_LINK_AT);
            if (due != 0 && due <= chunk) RH_FAULT(RH_RULE_ORDER, chunk);
            if (due == chunk + size) RH_FAULT(RH_RULE_NOT_COALESCED, due);
        }
    }
    if (due != 0) RH_FAULT(RH_RULE_LINK, entry);
    if (total + nano_rest(heap) != heap->free_size) RH_FAULT(RH_RULE_FREE_SIZE, 0);
    return RH_OK;
}
