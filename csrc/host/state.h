/*
 * A heap's state on a host, and what the operations of all heaps share. A part of word_size.h.
 */

/* Followed by its regions. */
struct state {
    union {
        struct rh_common common; /* the first member of each */
        struct rh_heap1 heap1;
        struct rh_heap2 heap2;
        struct rh_heap4 heap4;
#if RH_WORD_BYTES == 4
        struct rh_nano nano;
#endif
#if RH_HAS_SHADOW
        struct rh_policy_heap policy;
#endif
    } u;
    struct rh_region regions[];
};
RH_STATIC_ASSERT(offsetof(struct rh_heap1, common) == 0, "common comes first");
RH_STATIC_ASSERT(offsetof(struct rh_heap2, common) == 0, "common comes first");
RH_STATIC_ASSERT(offsetof(struct rh_heap4, common) == 0, "common comes first");

static struct rh_heap1 *heap1_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.heap1;
}

static struct rh_heap2 *heap2_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.heap2;
}

#if RH_WORD_BYTES == 4
static struct rh_nano *heap3_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.nano;
}
#endif

static struct rh_heap4 *heap4_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.heap4;
}

static struct rh_common *common_of(const void *state) {
    return &((struct state *)(uintptr_t)state)->u.common;
}

static struct rh_region *regions_of(const void *state) {
    return common_of(state)->regions;
}

static struct rh_region *last_region(const void *state) {
    return &regions_of(state)[common_of(state)->region_count - 1];
}

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
    options->old = setup->old;
    return true;
}

static enum rh_status live(const void *state, uint64_t address) {
    const struct rh_common *common = common_of(state);
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    const struct rh_region *region = rh_find_region(common, (rh_word)address);
#if RH_HAS_SHADOW
    return rh_live(region, (rh_word)address, common->alignment_shift);
#else
    return region != NULL ? RH_OK : RH_INVALID_FREE;
#endif
}

static unsigned char *pointer(const void *state, uint64_t address) {
    const struct rh_region *region = rh_find_region(common_of(state), (rh_word)address);
    return region == NULL ? NULL : rh_at(region, (rh_word)address);
}

/* heap_2, heap_4, heap_5 */
static struct rh_block block_with_header(const void *state, uint64_t payload) {
    const struct rh_common *common = common_of(state);
    const rh_word block = (rh_word)payload - common->header;
    const struct rh_region *region = rh_find_region(common, block);
    struct rh_block found = {block, rh_size(region, block) & ~RH_TOP_BIT, true};
    return found;
}

/* heap_1 has no header, and no build without a shadow knows what one should hold. */
static enum rh_status verify_nothing(void *state, uint64_t payload) {
    (void)state;
    (void)payload;
    return RH_OK;
}

#if RH_HAS_SHADOW
/* Does the header of a live payload's block hold what the heap wrote? */
static enum rh_status verify_with_header(void *state, uint64_t payload) {
    struct state *s = state;
    const rh_word block = (rh_word)payload - s->u.common.header;
    const struct rh_region *region = rh_find_region(&s->u.common, block);
    if (RH_IS_OLD(&s->u.heap2, RH_OLD_UNMARKED)) {
        const rh_word size = rh_size(region, block);
        if (rh_load(region, block + RH_SIZE_AT) == size) return RH_OK;
        return rh_overwritten(&s->u.common, block);
    }
    RH_VISIT(&s->u.heap2, region, block);
    return RH_OK;
}
#else
#define verify_with_header verify_nothing
#endif

static void walk_ever(const void *state, rh_address_visitor visit, void *context) {
#if RH_HAS_SHADOW
    const struct rh_common *common = common_of(state);
    const unsigned shift = common->alignment_shift;
    for (size_t i = 0; i < common->region_count; i++) {
        const struct rh_region *region = &common->regions[i];
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

/* --- from words to 64 bits ---------------------------------------------------------------------
 */

static enum rh_status widen_stats(enum rh_status status, const struct rh_stats *stats,
                                  struct rh_stats64 *wide) {
    const uint64_t values[7] = {stats->available,           stats->largest_free_block,
                                stats->smallest_free_block, stats->free_block_count,
                                stats->minimum_ever_free,   stats->allocation_count,
                                stats->free_count};
    memcpy(wide->values, values, sizeof values);
    return status;
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

#if RH_RANKED
#define INDEX(operations) .index = &(operations)
#else
#define INDEX(operations) .index = NULL
#endif

/* What the tables of all heaps begin with. */
#define OPS_OF_ALL                                                                                 \
    .word_bytes = RH_WORD_BYTES, .word_max = RH_WORD_MAX, .state_bytes = state_bytes,              \
    .shadow_bytes = shadow_bytes, .attach = attach, .live = live, .pointer = pointer,              \
    .walk_ever = walk_ever
