#include "newlib_nano.h"

#include "rh_inspect.h"

/* The smallest chunk that malloc gives, and the smallest rest that it splits off. */
#define NANO_LEAST 12u
/* What memalign can leave of one: a size and a link. */
#define NANO_SMALLEST 8u
#define NANO_MINUS_4 ((rh_word)-4)
#define NANO_MINUS_8 ((rh_word)-8)

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

RH_API enum rh_status rhn_init(struct rh_nano *heap, struct rh_region *region,
                               enum rh_nano_version version) {
    if (!rh_in_range(region->base, region->size)) return RH_OUT_OF_RANGE;
    if (region->base == 0) return RH_AT_ZERO;
    const struct rh_options options = {.alignment = RH_NANO_ALIGNMENT};
    if (region->size < NANO_LEAST + (rh_up(region->base, 4) - region->base)) return RH_TOO_SMALL;
    RH_START_COMMON(heap, region, 1, &options);
    heap->version = version;
    heap->bug = RH_NANO_NO_BUG;
    heap->holds = false;
    heap->extended = 0;
    heap->first = 0;
    heap->lowest = 0;
    heap->reached = 0;
    heap->refused = 0;
    heap->least = NANO_LEAST;
    heap->free_size = region->size;
    RH_RESET_COUNTERS(heap);
    return RH_OK;
}

RH_API void rhn_limit(struct rh_nano *heap, rh_word size, bool holds) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    heap->free_size += size - region->size;
    region->size = size;
    heap->refused = 0;
    heap->bug = RH_NANO_NO_BUG;
    heap->holds = holds;
}

static void nano_put_link(struct rh_nano *heap, rh_word chunk, rh_word link) {
    if (chunk == 0)
        heap->first = link;
    else
        rh_put(RH_FIRST_REGION(heap), chunk + NANO_LINK_AT, link);
}

/* sbrk: has it so many bytes left? */
static bool nano_sbrk(struct rh_nano *heap, rh_word bytes) {
    if (bytes <= nano_rest(heap)) {
        heap->reached += bytes;
        heap->free_size -= bytes;
        return true;
    }
    const rh_word wanted = heap->reached + bytes;
    if (heap->refused == 0 || wanted < heap->refused) heap->refused = wanted;
    return false;
}

/* A chunk of `size` bytes from sbrk, or 0. An unaligned break costs a second call, whose failure
 * loses what the first one gave. */
static rh_word nano_grow(struct rh_nano *heap, rh_word size) {
    rh_word chunk = nano_break(heap);
    const rh_word more = rh_up(chunk, 4) - chunk;
    if (!nano_sbrk(heap, size) || !nano_sbrk(heap, more)) return 0;
    chunk += more;
    if (heap->lowest == 0) heap->lowest = chunk;
    rh_put(RH_FIRST_REGION(heap), chunk, size);
    return chunk;
}

static enum rh_status nano_bug(struct rh_nano *heap, enum rh_nano_bug bug) {
    heap->bug = bug;
    return RH_ASSERTION;
}

static void nano_write_shift(struct rh_nano *heap, rh_word chunk) {
    if (nano_payload(chunk) != chunk + 4) rh_put(RH_FIRST_REGION(heap), chunk + 4, NANO_MINUS_4);
}

/* What a search ends at: the first chunk that is large enough, or 0, and the two before it. */
struct nano_fit {
    rh_word before_last;
    rh_word before;
    rh_word chunk;
    rh_word size;
};

#if RH_RANKED
/* The list by its index: rank_lists.h. */
RH_SHARED enum rh_status nano_ranked_find(struct rh_nano *heap, rh_word wanted,
                                          struct nano_fit *fit);
RH_SHARED enum rh_status nano_ranked_place(struct rh_nano *heap, rh_word chunk, rh_word *before,
                                           rh_word *after, rh_word *nodes);
/* Of a chunk that is taken, `rest` bytes stay in the list. */
RH_SHARED void nano_ranked_took(struct rh_nano *heap, rh_word chunk, rh_word size, rh_word rest);
/* `before` is 0 where the chunk does not join it, `after_size` where it does not take that in. */
RH_SHARED void nano_ranked_gave(struct rh_nano *heap, rh_word before, rh_word chunk, rh_word size,
                                rh_word after_size);
#define NANO_IS_RANKED(heap) ((heap)->common.rank != NULL)
#define NANO_TOOK(heap, chunk, size, rest)                                                         \
    (NANO_IS_RANKED(heap) ? nano_ranked_took((heap), (chunk), (size), (rest)) : (void)0)
#define NANO_GAVE(heap, before, chunk, size, after_size)                                           \
    (NANO_IS_RANKED(heap) ? nano_ranked_gave((heap), (before), (chunk), (size), (after_size))      \
                          : (void)0)
#else
#define NANO_TOOK(heap, chunk, size, rest) ((void)0)
#define NANO_GAVE(heap, before, chunk, size, after_size) ((void)(after_size))
#endif

static enum rh_status nano_find(struct rh_nano *heap, rh_word wanted, struct nano_fit *fit) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word nodes = 0;
#if RH_RANKED
    if (NANO_IS_RANKED(heap)) return nano_ranked_find(heap, wanted, fit);
#endif
    fit->before_last = fit->before = fit->size = 0;
    for (fit->chunk = heap->first; fit->chunk != 0;) {
        if (fit->chunk == heap->extended) return nano_bug(heap, RH_NANO_TWICE);
        RH_VISIT(heap, region, fit->chunk);
        RH_COUNT_NODE(nodes);
        fit->size = rh_get(region, fit->chunk);
        if (fit->size >= wanted) break;
        fit->before_last = fit->before;
        fit->before = fit->chunk;
        fit->chunk = rh_get(region, fit->chunk + NANO_LINK_AT);
    }
    RH_SET_NODES(heap, nodes);
    return RH_OK;
}

/* From 4.2.0 on: after sbrk refused a chunk, the list's last one grows up to the break. *chunk is 0
 * where it cannot. */
static enum rh_status nano_extend(struct rh_nano *heap, rh_word wanted, const struct nano_fit *fit,
                                  rh_word *chunk) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    const bool first_try = heap->version < RH_NANO_4_3_0;
    const rh_word last = fit->before;
    *chunk = 0;
    if (last == 0) return heap->version == RH_NANO_4_2_0 ? nano_bug(heap, RH_NANO_READS_0) : RH_OK;
    const rh_word size = rh_get(region, last);
    if (last + size != nano_break(heap)) return RH_OK;
    RH_VISIT(heap, region, last); /* an index has not met them */
    if (!first_try && fit->before_last != 0) RH_VISIT(heap, region, fit->before_last);
    const rh_word need = wanted - size + (first_try ? 8 : 0);
    if (!nano_sbrk(heap, need)) return RH_OK;
    if (heap->version == RH_NANO_4_3_0 && fit->before_last == 0)
        return nano_bug(heap, RH_NANO_WRITES_4); /* what sbrk gave, the caller takes back */
    if (heap->holds) return nano_bug(heap, RH_NANO_HELD);
    heap->free_size -= size;
    rh_put(region, last, size + need);
    NANO_TOOK(heap, last, size, 0);
    if (first_try)
        heap->extended = last; /* and stays in the list */
    else
        nano_put_link(heap, fit->before_last, 0);
    *chunk = last;
    return RH_OK;
}

/* A chunk that no listed one can serve. RH_ASSERTION leaves the heap as it was. */
static enum rh_status nano_from_sbrk(struct rh_nano *heap, rh_word wanted,
                                     const struct nano_fit *fit, rh_word *chunk) {
    const rh_word reached = heap->reached, free_size = heap->free_size, refused = heap->refused;
    *chunk = nano_grow(heap, wanted);
    enum rh_status status = RH_OK;
    if (*chunk == 0 && heap->version >= RH_NANO_4_2_0)
        status = nano_extend(heap, wanted, fit, chunk);
    if (status != RH_OK) {
        heap->reached = reached;
        heap->free_size = free_size;
        if (status == RH_CORRUPT) heap->refused = refused;
    } else if (*chunk == 0) {
        status = wanted > free_size ? RH_EXHAUSTED : RH_FRAGMENTED;
        RH_COUNT_FAILED(heap);
        RH_LOWER_MINIMUM(heap, heap->free_size);
    }
    return status;
}

/* Takes `wanted` bytes out of a listed chunk. */
static rh_word nano_cut(struct rh_nano *heap, rh_word wanted, const struct nano_fit *fit) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word rest = fit->size - wanted;
    rh_word chunk = fit->chunk;
    const rh_word link = rh_get(region, chunk + NANO_LINK_AT);
    if (rest < NANO_LEAST) {
        nano_put_link(heap, fit->before, link);
        NANO_TOOK(heap, chunk, fit->size, 0);
        heap->free_size -= fit->size;
        return chunk;
    }
    if (heap->version >= RH_NANO_4_2_0) {
        /* [      found      ]  =>  [ wanted ][  rest  ]     the rest takes its place in the list */
        rh_put(region, chunk + wanted, rest);
        rh_put(region, chunk + wanted + NANO_LINK_AT, link);
        nano_put_link(heap, fit->before, chunk + wanted);
    } else {
        /* [      found      ]  =>  [  rest  ][ wanted ]     the rest stays in the list */
        rh_put(region, chunk, rest);
        chunk += rest;
    }
    NANO_TOOK(heap, fit->chunk, fit->size, rest);
    rh_put(region, chunk, wanted);
    heap->free_size -= wanted;
    return chunk;
}

RH_API enum rh_status rhn_malloc(struct rh_nano *heap, rh_word size, rh_word *address) {
    struct nano_fit fit;
    rh_word wanted = rh_up(size, 4) + 8, chunk;
    RH_SET_NODES(heap, 0);
    if (wanted >= RH_TOP_BIT || wanted < size) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    if (wanted < NANO_LEAST) wanted = NANO_LEAST;
    enum rh_status status = nano_find(heap, wanted, &fit);
    if (status != RH_OK) return status;
    if (fit.chunk != 0) {
        chunk = nano_cut(heap, wanted, &fit);
    } else {
        status = nano_from_sbrk(heap, wanted, &fit, &chunk);
        if (status != RH_OK) return status;
    }
    nano_write_shift(heap, chunk);
    *address = nano_payload(chunk);
    RH_LOWER_MINIMUM(heap, heap->free_size);
    RH_COUNT_ALLOCATION(heap);
    RH_MARK_LIVE(heap, RH_FIRST_REGION(heap), *address);
    return RH_OK;
}

/* By how much a payload lies further than its chunk's size takes: 0, 4 or 8. */
static rh_word nano_shift(const struct rh_region *region, rh_word address) {
    const rh_word word = rh_get(region, address - 4);
    return word >= NANO_MINUS_8 ? 0 - word : 0;
}

RH_API rh_word rhn_chunk(const struct rh_nano *heap, rh_word address) {
    return address - 4 - nano_shift(RH_FIRST_REGION(heap), address);
}

#if RH_HAS_SHADOW
/* Are the words that a live payload has before it what malloc wrote? */
static bool nano_live_intact(const struct rh_region *region, rh_word address) {
    const rh_word shift = nano_shift(region, address), chunk = address - 4 - shift;
    if (rh_load(region, chunk) != rh_shadow_load(region, chunk)) return false;
    return rh_load(region, address - 4) == rh_shadow_load(region, address - 4);
}

/* The payload of a live chunk. */
static rh_word nano_live_payload(const struct rh_nano *heap, rh_word chunk) {
    const rh_word usual = nano_payload(chunk);
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const bool moved = rh_live(region, usual, RH_SHIFT_OF(heap)) != RH_OK;
    return moved ? usual + RH_NANO_ALIGNMENT : usual;
}
#endif

/* Gives a chunk back: RH_CORRUPT and RH_ASSERTION leave all as it was. */
static enum rh_status nano_release(struct rh_nano *heap, rh_word chunk) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word size = rh_get(region, chunk), nodes = 0;
    const rh_word freed = size;

    rh_word before = 0, after = heap->first;
#if RH_RANKED
    if (NANO_IS_RANKED(heap)) {
        const enum rh_status status = nano_ranked_place(heap, chunk, &before, &after, &nodes);
        if (status != RH_OK) return status;
    }
#endif
    while (after != 0 && after < chunk) { /* with an index: the extended one alone */
        if (after == heap->extended) return nano_bug(heap, RH_NANO_TWICE);
        RH_VISIT(heap, region, after);
        RH_COUNT_NODE(nodes);
        before = after;
        after = rh_get(region, after + NANO_LINK_AT);
    }
    const bool swallows = after != 0 && chunk + size == after;
    if (after == heap->extended && (swallows || after == chunk) && after != 0)
        return nano_bug(heap, RH_NANO_TWICE);
    if (swallows) {
        RH_VISIT(heap, region, after);
        RH_COUNT_NODE(nodes);
    }
    RH_SET_NODES(heap, nodes);

    rh_word link = after, after_size = 0;
    if (swallows) {
        after_size = rh_get(region, after);
        size += after_size;
        link = rh_get(region, after + NANO_LINK_AT);
    }
    const bool joins = before != 0 && before + rh_get(region, before) == chunk;
    if (joins) {
        /* [before][chunk]  =>  [    before    ]     the chunk's own words stay */
        rh_put(region, before, rh_get(region, before) + size);
        if (swallows) rh_put(region, before + NANO_LINK_AT, link);
    } else {
        /* [chunk][after]   =>  [    chunk     ] */
        rh_put(region, chunk, size);
        rh_put(region, chunk + NANO_LINK_AT, link);
        nano_put_link(heap, before, chunk);
    }
    NANO_GAVE(heap, joins ? before : 0, chunk, freed, after_size);
    heap->free_size += freed;
    return RH_OK;
}

/* The chunk of a payload that is to be freed or reallocated. */
static enum rh_status nano_live_chunk(struct rh_nano *heap, rh_word address, rh_word *chunk) {
#if RH_HAS_SHADOW
    const enum rh_status live =
        rh_live(rh_find_region(&heap->common, address), address, RH_SHIFT_OF(heap));
    if (live != RH_OK) return live;
#endif
    *chunk = rhn_chunk(heap, address);
#if RH_HAS_SHADOW
    if (!nano_live_intact(RH_FIRST_REGION(heap), address))
        return rh_overwritten(&heap->common, *chunk);
#endif
    return RH_OK;
}

RH_API enum rh_status rhn_free(struct rh_nano *heap, rh_word address) {
    rh_word chunk = 0;
    RH_SET_NODES(heap, 0);
    enum rh_status status = nano_live_chunk(heap, address, &chunk);
    if (status == RH_OK) status = nano_release(heap, chunk);
    if (status != RH_OK) return status;
    RH_COUNT_FREE(heap);
    RH_MARK_DEAD(heap, RH_FIRST_REGION(heap), address);
    return RH_OK;
}

RH_API enum rh_status rhn_realloc(struct rh_nano *heap, rh_word old, rh_word size,
                                  rh_word *address) {
    const struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word chunk = 0, nodes = 0;
    RH_SET_NODES(heap, 0);
    *address = 0;
    if (size == 0) return rhn_free(heap, old);
    enum rh_status status = nano_live_chunk(heap, old, &chunk);
    if (status != RH_OK) return status;
    const rh_word usable = rh_get(region, chunk) - 4 - nano_shift(region, old);
    if (usable >= size && (heap->version < RH_NANO_4_0_0 || usable / 2 < size)) {
        *address = old;
        return RH_OK;
    }
    status = rhn_malloc(heap, size, address);
    if (status != RH_OK) return status;
    /* 3.3.0 copies as much as is asked for, past the old block's end where it grows. */
    rh_word copied = heap->version < RH_NANO_4_0_0 || size < usable ? size : usable;
    const rh_word readable = region->size - (rh_word)(old - region->base);
    if (copied > readable) copied = readable;
    memmove(rh_at(region, *address), rh_at(region, old), copied);
    nodes = heap->nodes;
    status = rhn_free(heap, old);
    RH_SET_NODES(heap, nodes + heap->nodes);
    return status;
}

RH_API enum rh_status rhn_calloc(struct rh_nano *heap, rh_word count, rh_word size,
                                 rh_word *address) {
    const rh_word product = count * size;
    RH_SET_NODES(heap, 0);
    if (heap->version >= RH_NANO_4_0_0 && count != 0 && size > RH_WORD_MAX / count) {
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    const enum rh_status status = rhn_malloc(heap, product, address);
    if (status == RH_OK) rh_zero(RH_FIRST_REGION(heap), *address, product);
    return status;
}

RH_API enum rh_status rhn_memalign(struct rh_nano *heap, rh_word alignment, rh_word size,
                                   rh_word *address) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    RH_SET_NODES(heap, 0);
    if ((alignment & (alignment - 1)) != 0) return RH_BAD_ALIGNMENT;
    if (alignment < RH_NANO_ALIGNMENT) alignment = RH_NANO_ALIGNMENT;
    const rh_word body = rh_up(size > 4 ? size : 4, 4);
    if (size > RH_WORD_MAX - 4 || body > RH_WORD_MAX - (alignment - RH_NANO_ALIGNMENT)) {
        if (heap->version < RH_NANO_4_0_0) return nano_bug(heap, RH_NANO_WRAPS);
        RH_COUNT_FAILED(heap);
        return RH_EXHAUSTED;
    }
    rh_word payload;
    enum rh_status status = rhn_malloc(heap, body + alignment - RH_NANO_ALIGNMENT, &payload);
    if (status != RH_OK) return status;
    rh_word chunk = rhn_chunk(heap, payload);
    const rh_word aligned = rh_up(chunk + 4, alignment), gap = aligned - chunk - 4;
    const rh_word end = chunk + rh_get(region, chunk);
    RH_MARK_DEAD(heap, region, payload);
    if (gap >= NANO_LEAST) {
        /* [     chunk     ]  =>  [ gap ][ chunk ] */
        rh_put(region, chunk, gap);
        rh_put(region, chunk + gap, end - (chunk + gap));
        status = nano_release(heap, chunk);
        chunk += gap;
    } else if (gap != 0) {
        rh_put(region, chunk + gap, 0 - gap);
    }
    if (status == RH_OK && end - (aligned + body) > NANO_LEAST && end > aligned + body) {
        rh_put(region, chunk, aligned + body - chunk);
        rh_put(region, aligned + body, end - (aligned + body));
        status = nano_release(heap, aligned + body);
    }
    if (rh_get(region, chunk) < NANO_LEAST) heap->least = NANO_SMALLEST;
    RH_MARK_LIVE(heap, region, aligned);
    *address = aligned;
    return status;
}

RH_API enum rh_status rhn_walk_free(struct rh_nano *heap, rh_visitor visit, void *context) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word chunk = heap->first;
    while (chunk != 0 && chunk != heap->extended) {
        RH_VISIT(heap, region, chunk);
        if (!visit(context, chunk, rh_get(region, chunk), false)) return RH_OK;
        chunk = rh_get(region, chunk + NANO_LINK_AT);
    }
    if (chunk != 0 && !visit(context, chunk, rh_get(region, chunk), true)) return RH_OK;
    if (nano_rest(heap) != 0) visit(context, nano_break(heap), nano_rest(heap), false);
    return RH_OK;
}

/* What is listed though it is allocated is no free block. */
static bool nano_stats_add(void *stats, rh_word chunk, rh_word size, bool allocated) {
    return allocated || rh_stats_add(stats, chunk, size, false);
}

RH_API enum rh_status rhn_stats(struct rh_nano *heap, struct rh_stats *stats) {
    rh_stats_begin(stats, heap->free_size);
    RH_STATS_MINIMUM(heap, stats);
    RH_STATS_COUNTS(heap, stats);
    return rhn_walk_free(heap, nano_stats_add, stats);
}

/* The list is in address order, so that a walk by sizes meets each free chunk as it is due. */
RH_API enum rh_status rhn_walk(const struct rh_nano *heap, rh_visitor visit, void *context) {
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word end = nano_break(heap);
    rh_word due = heap->first, size;
    for (rh_word chunk = heap->lowest; chunk != 0 && chunk != end; chunk += size) {
        size = rh_get(region, chunk);
        if (size < heap->least || size > end - chunk) return RH_CORRUPT;
        const bool is_free = chunk == due && chunk != heap->extended;
        if (is_free) due = rh_get(region, chunk + NANO_LINK_AT);
        if (!visit(context, chunk, size, !is_free)) return RH_OK;
    }
    if (nano_rest(heap) != 0) visit(context, end, nano_rest(heap), false);
    return RH_OK;
}

RH_API void rhn_walk_moved(const struct rh_nano *heap, rh_visitor visit, void *context) {
#if RH_HAS_SHADOW
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word end = nano_break(heap);
    rh_word due = heap->first, size;
    for (rh_word chunk = heap->lowest; chunk != 0 && chunk != end; chunk += size) {
        size = rh_get(region, chunk);
        if (chunk == due && chunk != heap->extended) {
            due = rh_get(region, chunk + NANO_LINK_AT);
            continue;
        }
        const rh_word payload = nano_live_payload(heap, chunk);
        if (payload != nano_payload(chunk) && !visit(context, payload, size, true)) return;
    }
#else
    (void)heap;
    (void)visit;
    (void)context;
#endif
}

RH_API enum rh_status rhn_check(struct rh_nano *heap, struct rh_fault *fault) {
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word end = nano_break(heap);
    rh_word due = heap->first, entry = 0, total = 0, size;
    fault->rule = RH_RULE_NONE;
    fault->address = 0;
    for (rh_word chunk = heap->lowest; chunk != 0 && chunk != end; chunk += size) {
        /* By offsets: the break may lie at the end of the address space, which is 0. */
        if (chunk - region->base > heap->reached || end - chunk < heap->least)
            RH_FAULT(RH_RULE_SIZE, chunk);
        if (due == heap->extended) due = 0;
        const bool is_free = chunk == due;
#if RH_HAS_SHADOW
        if (!(is_free ? rh_header_intact(region, chunk)
                      : nano_live_intact(region, nano_live_payload(heap, chunk))))
            RH_FAULT(RH_RULE_OVERWRITTEN, chunk);
#endif
        size = rh_load(region, chunk);
        if (size < heap->least || size > end - chunk || size % 4 != 0)
            RH_FAULT(RH_RULE_SIZE, chunk);
        if (due != 0 && due < chunk) RH_FAULT(RH_RULE_LINK, entry);
        if (is_free) {
            total += size;
            entry = chunk;
            due = rh_load(region, chunk + NANO_LINK_AT);
            if (due != 0 && due <= chunk) RH_FAULT(RH_RULE_ORDER, chunk);
            if (due != 0 && due == chunk + size) RH_FAULT(RH_RULE_NOT_COALESCED, due);
        }
    }
    if (due != 0) RH_FAULT(RH_RULE_LINK, entry);
    if (total + nano_rest(heap) != heap->free_size) RH_FAULT(RH_RULE_FREE_SIZE, 0);
    return RH_OK;
}
