/*
 * From a snapshot back to a heap: what the heaps share. A part of word_size.h.
 *
 * A snapshot comes from a pickle or from a memory image, so nothing in it is trusted: the shadow
 * is written from it, and then held to the checker's rules as if it were the arena.
 */

#if RH_HAS_SHADOW

/* The index of the block at an address, or block_count. */
static size_t find_block(const struct rh_snapshot *snapshot, uint64_t address) {
    size_t low = 0, high = snapshot->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snapshot->blocks[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < snapshot->block_count && snapshot->blocks[low].address == address;
    return found ? low : snapshot->block_count;
}

/* The region with room for a header at the address, or NULL. */
static struct rh_region *region_of_header(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return NULL;
    struct rh_region *region = rh_find_region(common_of(state), (rh_word)address);
    if (region == NULL || !rh_inside(region, (rh_word)address, 2 * RH_WORD_BYTES)) return NULL;
    return region;
}

static bool restore_live(void *state, struct rh_region *region, rh_word payload) {
    const struct rh_common *common = common_of(state);
    if (!rh_inside(region, payload, 1) || rh_down(payload, common->alignment) != payload)
        return false;
    rh_mark_live(region, payload, common->alignment_shift);
    return true;
}

static bool restore_ever(void *state, const struct rh_snapshot *snapshot) {
    const struct rh_common *common = common_of(state);
    const unsigned shift = common->alignment_shift;
    for (size_t i = 0; i < snapshot->ever_count; i++) {
        if (snapshot->ever[i] > RH_WORD_MAX) return false;
        const rh_word payload = (rh_word)snapshot->ever[i];
        struct rh_region *region = rh_find_region(common, payload);
        if (region == NULL) return false;
        const bool was_live = rh_live(region, payload, shift) == RH_OK;
        if (!restore_live(state, region, payload)) return false;
        if (!was_live) rh_mark_dead(region, payload, shift);
    }
    return true;
}

/* Lets the shadow stand in for the arena until attach() is called. */
static void restore_begin(void *state) {
    const struct rh_common *common = common_of(state);
    for (size_t i = 0; i < common->region_count; i++)
        common->regions[i].memory = common->regions[i].shadow;
}

/* Where the blocks of one of a heap's regions lie. */
typedef struct rh_range (*range_of_region)(const struct rh_common *common,
                                           const struct rh_region *region);

/* heap_2, heap_4, heap_5: writes the headers of the blocks, with a link of zero, and the bits. The
 * blocks must fill each region from its first to its last byte: one inside another would be taken
 * for a live one when it is freed. Returns whether they do, and the free bytes. */
static bool restore_blocks(void *state, const struct rh_snapshot *snapshot,
                           range_of_region range_of, rh_word canary, rh_word *free_size) {
    const struct rh_common *common = common_of(state);
    const rh_word header = common->header;
    const rh_word mark = (common->old & RH_OLD_UNMARKED) != 0 ? 0 : RH_TOP_BIT;
    const rh_word live_link = (common->old & RH_OLD_PLAIN_LINK) != 0 ? 0 : canary;
    size_t next = 0;
    *free_size = 0;
    for (size_t i = 0; i < common->region_count; i++) {
        struct rh_region *region = &common->regions[i];
        const struct rh_range range = range_of(common, region);
        rh_word address = range.start;
        while (address != range.end) {
            if (next == snapshot->block_count) return false;
            const struct rh_block *block = &snapshot->blocks[next++];
            if (block->address != address || block->size < header ||
                block->size > range.end - address)
                return false;
            const rh_word size = (rh_word)block->size;
            rh_put_header(region, address, block->allocated ? live_link : canary,
                          block->allocated ? size | mark : size);
            if (!block->allocated)
                *free_size += size;
            else if (!restore_live(state, region, address + header))
                return false;
            address += size;
        }
    }
    return next == snapshot->block_count && restore_ever(state, snapshot);
}

/* heap_5: regions but the last end in markers that are entries of the list. */
static bool is_inner_marker(void *state, const struct rh_region *region, uint64_t address) {
    const struct rh_common *common = common_of(state);
    return region != last_region(state) &&
           rh_ff_range(region, common->alignment, common->header).end == address;
}

/* Links the entries in their order, from *head to `end`. */
static bool restore_links(void *state, const struct rh_snapshot *snapshot, rh_word canary,
                          rh_word *head, rh_word end) {
    rh_word next = end;
    for (size_t i = snapshot->free_count; i-- > 0;) {
        const uint64_t entry = snapshot->free_list[i];
        struct rh_region *region = region_of_header(state, entry);
        if (region == NULL) return false;
        if (!is_inner_marker(state, region, entry)) {
            const size_t block = find_block(snapshot, entry);
            if (block == snapshot->block_count || snapshot->blocks[block].allocated) return false;
            if (rh_next(region, (rh_word)entry) != canary) return false; /* listed twice */
        }
        rh_put_next(region, (rh_word)entry, next ^ canary);
        next = (rh_word)entry;
    }
    *head = next;
    return true;
}

/* The counters of all heaps but heap_1. */
#define RESTORE_COUNTERS(heap, numbers)                                                            \
    ((heap)->minimum_ever_free = (rh_word)(numbers)->minimum_ever_free,                            \
     (heap)->allocations = (rh_word)(numbers)->allocations,                                        \
     (heap)->frees = (rh_word)(numbers)->frees, (heap)->failed = (rh_word)(numbers)->failed)

#define RESTORE(function) .restore = (function)
#else /* without a shadow there is nothing to restore from */
#define RESTORE(function) .restore = NULL
#endif
