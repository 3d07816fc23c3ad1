/*
 * The core compiled for one word size, behind struct rh_ops. Included once by core_w32.c and once
 * by core_w64.c, which set RH_WORD_BYTES and RH_OPS_TABLE.
 */
#define RH_API static

#include "ops.h"

#include "heap_1.c" /* NOLINT: the one place, with the drop-in files, that includes a .c */
#include "heap_2.c"
#include "heap_4.c"
#include "heap_5.c"
#if RH_WORD_BYTES == 4
#include "newlib_nano.c"
#endif

extern const struct rh_ops RH_OPS_TABLE[5];

/* A heap's state, followed by its regions. */
struct state {
    union {
        struct rh_common common; /* the first member of each */
        struct rh_heap1 heap1;
        struct rh_heap2 heap2;
        struct rh_heap4 heap4;
#if RH_WORD_BYTES == 4
        struct rh_nano nano;
#endif
    } u;
    struct rh_region regions[];
};

static size_t state_bytes(size_t region_count) {
    return sizeof(struct state) + region_count * sizeof(struct rh_region);
}

static size_t shadow_bytes(uint64_t size, uint64_t alignment) {
#if RH_HAS_SHADOW
    return rh_shadow_bytes((rh_word)size, (rh_word)alignment);
#else
    (void)size;
    (void)alignment;
    return 0;
#endif
}

static void attach(void *state, const struct rh_setup_region *regions) {
    struct state *s = state;
    s->u.common.regions = s->regions;
    for (size_t i = 0; i < s->u.common.region_count; i++) {
        s->regions[i].memory = regions[i].memory;
#if RH_HAS_SHADOW
        s->regions[i].shadow = regions[i].shadow;
#endif
    }
}

/* Takes the set-up into the state; false where a number does not fit the word. */
static bool take_setup(struct state *s, const struct rh_setup *setup, struct rh_options *options,
                       size_t *wrong) {
    for (size_t i = 0; i < setup->region_count; i++) {
        *wrong = i;
        if (setup->regions[i].base > RH_WORD_MAX || setup->regions[i].size > RH_WORD_MAX)
            return false;
        s->regions[i].base = (rh_word)setup->regions[i].base;
        s->regions[i].size = (rh_word)setup->regions[i].size;
    }
    *wrong = 0;
    s->u.common.region_count = setup->region_count;
    attach(s, setup->regions);
    options->alignment = (rh_word)setup->alignment;
    options->canary = (rh_word)setup->canary;
    options->end_marker = (rh_word)setup->end_marker;
    options->clear_on_free = setup->clear_on_free;
    return true;
}

/* One function per kind for what the heaps do each in their own way. */
#define WITH_SETUP(call)                                                                           \
    struct state *s = state;                                                                       \
    struct rh_options options;                                                                     \
    if (!take_setup(s, setup, &options, wrong)) return RH_OUT_OF_RANGE;                            \
    return (call)

static enum rh_status init1(void *state, const struct rh_setup *setup, size_t *wrong) {
    WITH_SETUP(rh1_init(&s->u.heap1, s->regions, &options));
}
static enum rh_status init2(void *state, const struct rh_setup *setup, size_t *wrong) {
    WITH_SETUP(rh2_init(&s->u.heap2, s->regions, &options));
}
static enum rh_status init4(void *state, const struct rh_setup *setup, size_t *wrong) {
    WITH_SETUP(rh4_init(&s->u.heap4, s->regions, &options));
}
static enum rh_status init5(void *state, const struct rh_setup *setup, size_t *wrong) {
    WITH_SETUP(rh5_init(&s->u.heap4, s->regions, setup->region_count, &options, wrong));
}

#define MALLOC(name, call)                                                                         \
    static enum rh_status name(void *state, uint64_t size, uint64_t *address) {                    \
        struct state *s = state;                                                                   \
        rh_word payload = 0;                                                                       \
        enum rh_status status = call;                                                              \
        *address = payload;                                                                        \
        return status;                                                                             \
    }
MALLOC(malloc1, rh1_malloc(&s->u.heap1, (rh_word)size, &payload))
MALLOC(malloc2, rh2_malloc(&s->u.heap2, (rh_word)size, &payload))
MALLOC(malloc4, rh4_malloc(&s->u.heap4, (rh_word)size, &payload))
MALLOC(malloc5, rh5_malloc(&s->u.heap4, (rh_word)size, &payload))

#define FREE(name, call)                                                                           \
    static enum rh_status name(void *state, uint64_t address) {                                    \
        struct state *s = state;                                                                   \
        if (address > RH_WORD_MAX) return RH_INVALID_FREE;                                         \
        return call;                                                                               \
    }
FREE(free1, ((void)s, RH_INVALID_FREE))
FREE(free2, rh2_free(&s->u.heap2, (rh_word)address))
FREE(free4, rh4_free(&s->u.heap4, (rh_word)address))
FREE(free5, rh5_free(&s->u.heap4, (rh_word)address))

static enum rh_status live(const void *state, uint64_t address) {
    const struct state *s = state;
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
#if RH_HAS_SHADOW
    return rh_live(rh_find_region(&s->u.common, (rh_word)address), (rh_word)address,
                   s->u.common.alignment_shift);
#else
    return rh_find_region(&s->u.common, (rh_word)address) != NULL ? RH_OK : RH_INVALID_FREE;
#endif
}

static unsigned char *pointer(const void *state, uint64_t address) {
    const struct state *s = state;
    const struct rh_region *region = rh_find_region(&s->u.common, (rh_word)address);
    return region == NULL ? NULL : rh_at(region, (rh_word)address);
}

/* heap_2, heap_4, heap_5 */
static struct rh_block block_with_header(const void *state, uint64_t payload) {
    const struct state *s = state;
    const rh_word block = (rh_word)payload - s->u.common.header;
    const struct rh_region *region = rh_find_region(&s->u.common, block);
    struct rh_block found = {block, rh_size(region, block) & ~RH_TOP_BIT, true};
    return found;
}

/* Does the header of a live payload's block hold what the heap wrote? */
#if RH_HAS_SHADOW
static enum rh_status verify_with_header(void *state, uint64_t payload) {
    struct state *s = state;
    const rh_word block = (rh_word)payload - s->u.common.header;
    RH_VISIT(&s->u.heap2, rh_find_region(&s->u.common, block), block);
    return RH_OK;
}
#else
#define verify_with_header verify_heap1
#endif

static enum rh_status verify_heap1(void *state, uint64_t payload) {
    (void)state;
    (void)payload;
    return RH_OK;
}

#if RH_HAS_SHADOW
static struct rh_block block_heap1(const void *state, uint64_t payload) {
    const struct state *s = state;
    struct rh_block found = {payload, rh1_block_size(&s->u.heap1, (rh_word)payload), true};
    return found;
}
#else
static struct rh_block block_heap1(const void *state, uint64_t payload) {
    (void)state;
    struct rh_block found = {payload, 0, true};
    return found;
}
#endif

static uint64_t free_size1(const void *state) {
    return rh1_free_size(&((const struct state *)state)->u.heap1);
}
static uint64_t free_size2(const void *state) {
    return ((const struct state *)state)->u.heap2.free_size;
}
static uint64_t free_size4(const void *state) {
    return ((const struct state *)state)->u.heap4.free_size;
}

static uint64_t nodes1(const void *state) {
    (void)state;
    return 0;
}
static uint64_t nodes2(const void *state) {
    return ((const struct state *)state)->u.heap2.nodes;
}
static uint64_t nodes4(const void *state) {
    return ((const struct state *)state)->u.heap4.nodes;
}

static void numbers1(const void *state, struct rh_numbers *n) {
    const struct rh_heap1 *heap = &((const struct state *)state)->u.heap1;
    struct rh_numbers numbers = {rh1_free_size(heap), heap->allocations, 0, heap->failed, 0};
    *n = numbers;
}

#define NUMBERS(name, member, reached_bytes)                                                       \
    static void name(const void *state, struct rh_numbers *n) {                                    \
        const struct state *s = state;                                                             \
        n->minimum_ever_free = s->u.member.minimum_ever_free;                                      \
        n->allocations = s->u.member.allocations;                                                  \
        n->frees = s->u.member.frees;                                                              \
        n->failed = s->u.member.failed;                                                            \
        n->reached = (reached_bytes);                                                              \
    }                                                                                              \
    RH_INLINE void set_##name(struct state *s, const struct rh_numbers *n) {                       \
        s->u.member.minimum_ever_free = (rh_word)n->minimum_ever_free;                             \
        s->u.member.allocations = (rh_word)n->allocations;                                         \
        s->u.member.frees = (rh_word)n->frees;                                                     \
        s->u.member.failed = (rh_word)n->failed;                                                   \
    }
NUMBERS(numbers2, heap2, 0)
NUMBERS(numbers4, heap4, 0)

static void reset_minimum1(void *state) {
    (void)state; /* never freeing, its free size is its minimum */
}
static void reset_minimum2(void *state) {
    struct state *s = state;
    s->u.heap2.minimum_ever_free = s->u.heap2.free_size;
}
static void reset_minimum4(void *state) {
    struct state *s = state;
    s->u.heap4.minimum_ever_free = s->u.heap4.free_size;
}

static void widen_stats(const struct rh_stats *stats, struct rh_stats64 *wide) {
    const uint64_t values[7] = {stats->available,           stats->largest_free_block,
                                stats->smallest_free_block, stats->free_block_count,
                                stats->minimum_ever_free,   stats->allocation_count,
                                stats->free_count};
    memcpy(wide->values, values, sizeof values);
}

#define STATS(name, call)                                                                          \
    static enum rh_status name(void *state, struct rh_stats64 *wide) {                             \
        struct state *s = state;                                                                   \
        struct rh_stats stats;                                                                     \
        enum rh_status status = call;                                                              \
        widen_stats(&stats, wide);                                                                 \
        return status;                                                                             \
    }
STATS(stats2, rh2_stats(&s->u.heap2, &stats))
STATS(stats4, rh4_stats(&s->u.heap4, &stats))
STATS(stats5, rh5_stats(&s->u.heap4, &stats))

static enum rh_status stats1(void *state, struct rh_stats64 *wide) {
    const struct rh_heap1 *heap = &((struct state *)state)->u.heap1;
    const rh_word rest = rh1_free_size(heap);
    struct rh_stats stats;
    rh_stats_begin(&stats, rest);
    if (rest != 0) rh_stats_add(&stats, heap->start + heap->used, rest, false);
    stats.minimum_ever_free = rest;
    stats.allocation_count = heap->allocations;
    widen_stats(&stats, wide);
    return RH_OK;
}

/* The core's visitors take words; ours take 64 bits. */
struct widened {
    rh_visitor64 visit;
    void *context;
};

static bool widen(void *context, rh_word address, rh_word size, bool allocated) {
    const struct widened *w = context;
    return w->visit(w->context, address, size, allocated);
}

#define WALK(name, call)                                                                           \
    static enum rh_status name(void *state, rh_visitor64 visit, void *context) {                   \
        struct state *s = state;                                                                   \
        struct widened w = {visit, context};                                                       \
        return call;                                                                               \
    }
#if RH_HAS_SHADOW
WALK(walk1, rh1_walk(&s->u.heap1, widen, &w))
#else
WALK(walk1, ((void)s, (void)w, RH_OK))
#endif
WALK(walk2, rh2_walk(&s->u.heap2, s->regions, widen, &w))
WALK(walk4, rh4_walk(&s->u.heap4, s->regions, widen, &w))
WALK(walk5, rh5_walk(&s->u.heap4, s->regions, s->u.common.region_count, widen, &w))
WALK(walk_free2, rh2_walk_free(&s->u.heap2, widen, &w))
WALK(walk_free4, rh4_walk_free(&s->u.heap4, widen, &w))
WALK(walk_free5, rh5_walk_free(&s->u.heap4, widen, &w))

static enum rh_status walk_free1(void *state, rh_visitor64 visit, void *context) {
    const struct rh_heap1 *heap = &((struct state *)state)->u.heap1;
    const rh_word rest = rh1_free_size(heap);
    if (rest != 0) visit(context, heap->start + heap->used, rest, false);
    return RH_OK;
}

static void walk_ever(const void *state, rh_address_visitor visit, void *context) {
#if RH_HAS_SHADOW
    const struct state *s = state;
    const unsigned shift = s->u.common.alignment_shift;
    for (size_t i = 0; i < s->u.common.region_count; i++) {
        const struct rh_region *region = &s->regions[i];
        const unsigned char *ever = region->shadow + region->bits_at + region->bits_bytes;
        for (rh_word bit = 0; bit < 8 * region->bits_bytes; bit++) {
            if (ever[bit >> 3] == 0) {
                bit |= 7;
                continue;
            }
            if (rh_bit(ever, bit) && !visit(context, ((region->base >> shift) + bit) << shift))
                return;
        }
    }
#else
    (void)state;
    (void)visit;
    (void)context;
#endif
}

/* What lies at a header, and which block ends there. */
struct search {
    uint64_t address;
    struct rh_fault64 *fault;
};

static bool find_previous(void *context, uint64_t address, uint64_t size, bool allocated) {
    struct search *search = context;
    (void)allocated;
    if (address + size != search->address) return address < search->address;
    search->fault->has_previous = true;
    search->fault->previous = address;
    return false;
}

static void describe(struct state *s, struct rh_fault fault, int kind, struct rh_fault64 *wide) {
    struct rh_fault64 empty = {.rule = fault.rule, .address = fault.address};
    *wide = empty;
    const struct rh_region *region = rh_find_region(&s->u.common, fault.address);
    if (region == NULL || !rh_inside(region, fault.address, 2 * RH_WORD_BYTES)) return;
    for (unsigned i = 0; i < 2; i++) {
        wide->found[i] = rh_load(region, fault.address + i * RH_WORD_BYTES);
        wide->expected[i] = rh_get(region, fault.address + i * RH_WORD_BYTES);
    }
    struct search search = {fault.address, wide};
    if (kind == 2) {
        struct widened w = {find_previous, &search};
        rh2_walk(&s->u.heap2, s->regions, widen, &w);
    } else if (kind == 4 || kind == 5) {
        struct widened w = {find_previous, &search};
        rh5_walk(&s->u.heap4, s->regions, s->u.common.region_count, widen, &w);
        wide->is_marker =
            rh_ff_range(region, s->u.common.alignment, s->u.common.header).end == fault.address;
#if RH_WORD_BYTES == 4
    } else if (kind == 3) {
        struct widened w = {find_previous, &search};
        rhn_walk(&s->u.nano, widen, &w);
#endif
    }
}

#define CHECK(name, kind, call)                                                                    \
    static enum rh_status name(void *state, struct rh_fault64 *wide) {                             \
        struct state *s = state;                                                                   \
        struct rh_fault fault;                                                                     \
        enum rh_status status = call;                                                              \
        if (status != RH_OK) describe(s, fault, kind, wide);                                       \
        return status;                                                                             \
    }                                                                                              \
    static void last_fault_##name(const void *state, struct rh_fault64 *wide) {                    \
        struct state *s = (struct state *)(uintptr_t)state;                                        \
        describe(s, s->u.common.fault, kind, wide);                                                \
    }
CHECK(check1, 1, ((void)s, fault.rule = RH_RULE_NONE, fault.address = 0, RH_OK))
CHECK(check2, 2, rh2_check(&s->u.heap2, s->regions, &fault))
CHECK(check4, 4, rh4_check(&s->u.heap4, s->regions, &fault))
CHECK(check5, 5, rh5_check(&s->u.heap4, s->regions, s->u.common.region_count, &fault))

static uint64_t last_free4(const void *state, uint64_t last, uint64_t payload, bool freed) {
    const struct state *s = state;
    const struct rh_heap4 *heap = &s->u.heap4;
    const struct rh_region *region = &s->regions[s->u.common.region_count - 1];
    if (freed) {
        if (heap->merged < region->base) return last;
        return heap->merged + rh_size(region, heap->merged) == heap->end ? heap->merged : last;
    }
    const rh_word block = (rh_word)payload - s->u.common.header;
    return block == last ? block + (rh_size(region, block) & ~RH_TOP_BIT) : last;
}

static uint64_t least_split(const void *state) {
    const struct rh_common *common = &((const struct state *)state)->u.common;
    return 2 * (uint64_t)common->header + common->alignment;
}

static uint64_t last_region_start4(const void *state) {
    const struct state *s = state;
    const struct rh_region *region = &s->regions[s->u.common.region_count - 1];
    return rh_up(region->base, s->u.common.alignment);
}

static uint64_t no_address(const void *state) {
    (void)state;
    return 0;
}

static uint64_t no_last_free(const void *state, uint64_t last, uint64_t payload, bool freed) {
    (void)state;
    (void)payload;
    (void)freed;
    return last;
}

/* Would free() meet an overwritten header? It goes through the list up to a place, by address or,
 * in heap_2, by size; one entry further than free() would, since an allocation that comes between
 * may take the one that ends its walk. */
struct place {
    rh_word limit;
    bool by_size;
    unsigned beyond;
};

static bool up_to_place(void *context, rh_word address, rh_word size, bool allocated) {
    struct place *place = context;
    (void)allocated;
    if ((place->by_size ? size : address) < place->limit) return true;
    return place->beyond++ == 0;
}

static enum rh_status free_would(void *state, uint64_t address, const struct rh_ops *ops,
                                 enum rh_status (*walk)(struct state *s, struct place *place)) {
#if RH_HAS_SHADOW
    enum rh_status status = live(state, address);
    if (status != RH_OK) return status;
    status = ops->verify(state, address);
    if (status != RH_OK) return status;
    const struct rh_block block = ops->block(state, address);
    struct place place = {(rh_word)block.address, ops->kind == 2, 0};
    if (place.by_size) place.limit = (rh_word)block.size;
    return walk(state, &place);
#else
    (void)state;
    (void)address;
    (void)ops;
    (void)walk;
    return RH_OK;
#endif
}

#define FREE_WOULD(kind, call)                                                                     \
    static enum rh_status walk_place##kind(struct state *s, struct place *place) {                 \
        return call;                                                                               \
    }                                                                                              \
    static enum rh_status free_would##kind(void *state, uint64_t address) {                        \
        return free_would(state, address, &RH_OPS_TABLE[kind - 1], walk_place##kind);              \
    }
FREE_WOULD(2, rh2_walk_free(&s->u.heap2, up_to_place, place))
FREE_WOULD(4, rh4_walk_free(&s->u.heap4, up_to_place, place))
FREE_WOULD(5, rh5_walk_free(&s->u.heap4, up_to_place, place))

static enum rh_status free_would1(void *state, uint64_t address) {
    return free1(state, address);
}

#include "restore.h"

#if RH_WORD_BYTES == 4
static enum rh_status init3(void *state, const struct rh_setup *setup, size_t *wrong) {
    WITH_SETUP(((void)options, rhn_init(&s->u.nano, s->regions)));
}
MALLOC(malloc3, rhn_malloc(&s->u.nano, (rh_word)size, &payload))
FREE(free3, rhn_free(&s->u.nano, (rh_word)address))
NUMBERS(numbers3, nano, s->u.nano.reached)
STATS(stats3, rhn_stats(&s->u.nano, &stats))
WALK(walk3, rhn_walk(&s->u.nano, widen, &w))
WALK(walk_free3, rhn_walk_free(&s->u.nano, widen, &w))
CHECK(check3, 3, rhn_check(&s->u.nano, &fault))

FREE_WOULD(3, rhn_walk_free(&s->u.nano, up_to_place, place))

static struct rh_block block_nano(const void *state, uint64_t payload) {
    const struct state *s = state;
    const rh_word chunk = rhn_chunk(&s->u.nano, (rh_word)payload);
    struct rh_block found = {chunk, rh_get(s->regions, chunk), true};
    return found;
}
static enum rh_status verify_nano(void *state, uint64_t payload) {
#if RH_HAS_SHADOW
    struct state *s = state;
    const rh_word chunk = rhn_chunk(&s->u.nano, (rh_word)payload);
    if (!nano_live_intact(s->regions, chunk)) return rh_overwritten(&s->u.common, chunk);
#else
    (void)state;
    (void)payload;
#endif
    return RH_OK;
}
static uint64_t free_size3(const void *state) {
    return ((const struct state *)state)->u.nano.free_size;
}
static uint64_t nodes3(const void *state) {
    return ((const struct state *)state)->u.nano.nodes;
}
static void reset_minimum3(void *state) {
    struct state *s = state;
    s->u.nano.minimum_ever_free = s->u.nano.free_size;
}
static enum rh_status restore3(void *state, const struct rh_snapshot *snapshot) {
    struct state *s = state;
    set_numbers3(s, &snapshot->numbers);
    return restore_nano(s, snapshot);
}
#endif

#define OPS(kind_, n, of_block, last, start)                                                       \
    {                                                                                              \
        .kind = kind_, .word_bytes = RH_WORD_BYTES, .word_max = RH_WORD_MAX,                       \
        .state_bytes = state_bytes, .shadow_bytes = shadow_bytes, .init = init##kind_,             \
        .attach = attach, .restore = restore##kind_, .malloc = malloc##kind_, .free = free##kind_, \
        .free_would = free_would##kind_, .live = live, .block = block_##of_block,                  \
        .verify = verify_##of_block, .pointer = pointer, .free_size = free_size##n,                \
        .nodes = nodes##n, .numbers = numbers##n, .reset_minimum = reset_minimum##n,               \
        .stats = stats##kind_, .walk = walk##kind_, .walk_free = walk_free##kind_,                 \
        .walk_ever = walk_ever, .check = check##kind_, .last_fault = last_fault_check##kind_,      \
        .last_free = last, .least_split = least_split, .last_region_start = start,                 \
    }

const struct rh_ops RH_OPS_TABLE[5] = {
    OPS(1, 1, heap1, no_last_free, no_address),
    OPS(2, 2, with_header, no_last_free, no_address),
#if RH_WORD_BYTES == 4
    OPS(3, 3, nano, no_last_free, no_address),
#else
    {.kind = 0},
#endif
    OPS(4, 4, with_header, last_free4, last_region_start4),
    OPS(5, 4, with_header, last_free4, last_region_start4),
};
