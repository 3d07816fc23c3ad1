/*
 * From a snapshot back to a heap. A part of word_size.h.
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
static struct rh_region *region_of_header(struct state *s, uint64_t address) {
    if (address > RH_WORD_MAX) return NULL;
    struct rh_region *region = rh_find_region(&s->u.common, (rh_word)address);
    if (region == NULL || !rh_inside(region, (rh_word)address, 2 * RH_WORD_BYTES)) return NULL;
    return region;
}

static bool restore_live(struct state *s, struct rh_region *region, rh_word payload) {
    if (!rh_inside(region, payload, 1) || rh_down(payload, s->u.common.alignment) != payload)
        return false;
    rh_mark_live(region, payload, s->u.common.alignment_shift);
    return true;
}

static bool restore_ever(struct state *s, const struct rh_snapshot *snapshot) {
    const unsigned shift = s->u.common.alignment_shift;
    for (size_t i = 0; i < snapshot->ever_count; i++) {
        if (snapshot->ever[i] > RH_WORD_MAX) return false;
        const rh_word payload = (rh_word)snapshot->ever[i];
        struct rh_region *region = rh_find_region(&s->u.common, payload);
        if (region == NULL) return false;
        const bool was_live = rh_live(region, payload, shift) == RH_OK;
        if (!restore_live(s, region, payload)) return false;
        if (!was_live) rh_mark_dead(region, payload, shift);
    }
    return true;
}

/* Empties the shadow, and lets it stand in for the arena until attach() is called. */
static void restore_begin(struct state *s) {
    for (size_t i = 0; i < s->u.common.region_count; i++) {
        rh_shadow_start(&s->regions[i], s->u.common.alignment);
        s->regions[i].memory = s->regions[i].shadow;
    }
}

/* heap_2, heap_4, heap_5: writes the headers of the blocks, with a link of zero, and the bits. The
 * blocks must fill each region from its first to its last byte: one inside another would be taken
 * for a live one when it is freed. Returns whether they do, and the free bytes. */
static bool restore_blocks(struct state *s, const struct rh_snapshot *snapshot, bool is_heap2,
                           rh_word canary, rh_word *free_size) {
    const rh_word alignment = s->u.common.alignment, header = s->u.common.header;
    size_t next = 0;
    *free_size = 0;
    for (size_t i = 0; i < s->u.common.region_count; i++) {
        struct rh_region *region = &s->regions[i];
        const struct rh_range range =
            is_heap2 ? rh2_range(region, alignment) : rh_ff_range(region, alignment, header);
        rh_word address = range.start;
        while (address != range.end) {
            if (next == snapshot->block_count) return false;
            const struct rh_block *block = &snapshot->blocks[next++];
            if (block->address != address || block->size < header ||
                block->size > range.end - address)
                return false;
            const rh_word size = (rh_word)block->size;
            rh_put_header(region, address, canary, block->allocated ? size | RH_TOP_BIT : size);
            if (!block->allocated)
                *free_size += size;
            else if (!restore_live(s, region, address + header))
                return false;
            address += size;
        }
    }
    return next == snapshot->block_count && restore_ever(s, snapshot);
}

static bool is_inner_marker(const struct state *s, const struct rh_region *region,
                            uint64_t address) {
    return region != &s->regions[s->u.common.region_count - 1] &&
           rh_ff_range(region, s->u.common.alignment, s->u.common.header).end == address;
}

/* Links the entries in their order, from *head to `end`. */
static bool restore_links(struct state *s, const struct rh_snapshot *snapshot, bool markers,
                          rh_word canary, rh_word *head, rh_word end) {
    rh_word next = end;
    for (size_t i = snapshot->free_count; i-- > 0;) {
        const uint64_t entry = snapshot->free_list[i];
        struct rh_region *region = region_of_header(s, entry);
        if (region == NULL) return false;
        if (!(markers && is_inner_marker(s, region, entry))) {
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

static enum rh_status restore1(void *state, const struct rh_snapshot *snapshot) {
    struct state *s = state;
    struct rh_heap1 *heap = &s->u.heap1;
    restore_begin(s);
    heap->used = 0;
    for (size_t i = 0; i < snapshot->block_count; i++) {
        const struct rh_block *block = &snapshot->blocks[i];
        if (!block->allocated || block->size == 0 || block->size % s->u.common.alignment != 0 ||
            block->address != (uint64_t)heap->start + heap->used ||
            block->size >= rh1_free_size(heap) ||
            !restore_live(s, s->regions, (rh_word)block->address))
            return RH_CORRUPT;
        heap->used += (rh_word)block->size;
    }
    heap->allocations = (rh_word)snapshot->numbers.allocations;
    heap->failed = (rh_word)snapshot->numbers.failed;
    return RH_OK;
}

static enum rh_status restore2(void *state, const struct rh_snapshot *snapshot) {
    struct state *s = state;
    struct rh_heap2 *heap = &s->u.heap2;
    struct rh_fault fault;
    restore_begin(s);
    if (!restore_blocks(s, snapshot, true, 0, &heap->free_size) ||
        !restore_links(s, snapshot, false, 0, &heap->head.next, heap->end_marker))
        return RH_CORRUPT;
    set_numbers2(s, &snapshot->numbers);
    return rh2_check(heap, s->regions, &fault);
}

static enum rh_status restore5(void *state, const struct rh_snapshot *snapshot) {
    struct state *s = state;
    struct rh_heap4 *heap = &s->u.heap4;
    struct rh_fault fault;
    restore_begin(s);
    for (size_t i = 0; i < s->u.common.region_count; i++) {
        const struct rh_region *region = &s->regions[i];
        const rh_word end = rh_ff_range(region, s->u.common.alignment, s->u.common.header).end;
        rh_put_header(region, end, heap->canary, 0);
    }
    if (!restore_blocks(s, snapshot, false, heap->canary, &heap->free_size) ||
        !restore_links(s, snapshot, true, heap->canary, &heap->head.next, heap->end))
        return RH_CORRUPT;
    heap->head.next ^= heap->canary;
    set_numbers4(s, &snapshot->numbers);
    return rh5_check(heap, s->regions, s->u.common.region_count, &fault);
}

#define restore4 restore5 /* heap_4 is heap_5 over one region */

#if RH_WORD_BYTES == 4
static enum rh_status restore_nano(struct state *s, const struct rh_snapshot *snapshot) {
    struct rh_nano *heap = &s->u.nano;
    struct rh_region *region = &s->regions[0];
    struct rh_fault fault;
    restore_begin(s);
    if (snapshot->numbers.reached > region->size) return RH_CORRUPT;
    heap->reached = (rh_word)snapshot->numbers.reached;
    heap->free_size = region->size - heap->reached;
    heap->lowest = 0;
    /* From the first chunk on, which sbrk's alignment may have moved, all adjoin up to the break.
     */
    rh_word chunk = 0;
    const rh_word end = nano_break(heap);
    for (size_t i = 0; i < snapshot->block_count; i++) {
        const struct rh_block *block = &snapshot->blocks[i];
        if (i == 0) {
            if (region_of_header(s, block->address) == NULL || block->address % 4 != 0 ||
                (rh_word)block->address - region->base >= heap->reached)
                return RH_CORRUPT;
            chunk = heap->lowest = (rh_word)block->address;
        }
        if (block->address != chunk || block->size < NANO_LEAST || block->size % 4 != 0 ||
            block->size > end - chunk)
            return RH_CORRUPT;
        const rh_word payload = nano_payload(chunk);
        rh_put(region, chunk, (rh_word)block->size);
        if (!block->allocated) {
            heap->free_size += (rh_word)block->size;
        } else {
            if (payload != chunk + 4) rh_put(region, chunk + 4, NANO_MINUS_4);
            if (!restore_live(s, region, payload)) return RH_CORRUPT;
        }
        chunk += (rh_word)block->size;
    }
    if (heap->lowest != 0 && chunk != end) return RH_CORRUPT;
    heap->first = 0;
    for (size_t i = snapshot->free_count; i-- > 0;) {
        const size_t block = find_block(snapshot, snapshot->free_list[i]);
        if (block == snapshot->block_count || snapshot->blocks[block].allocated) return RH_CORRUPT;
        rh_put(region, (rh_word)snapshot->free_list[i] + 4, heap->first);
        heap->first = (rh_word)snapshot->free_list[i];
    }
    if (!restore_ever(s, snapshot)) return RH_CORRUPT;
    return rhn_check(heap, &fault);
}
#endif

#else /* without a shadow there is nothing to restore */
static enum rh_status restore_nothing(void *state, const struct rh_snapshot *snapshot) {
    (void)state;
    (void)snapshot;
    return RH_CORRUPT;
}
#define restore1 restore_nothing
#define restore2 restore_nothing
#define restore4 restore_nothing
#define restore5 restore_nothing
#define restore_nano restore_nothing
#endif
