/*
 * heap_3, newlib-nano's malloc, behind struct rh_ops. A part of word_size.h, for 32 bits.
 */

static enum rh_status heap3_init(void *state, const struct rh_setup *setup, size_t *wrong) {
    struct rh_options options;
    if (!take_setup(state, setup, &options, wrong)) return RH_OUT_OF_RANGE;
    return rhn_init(heap3_of(state), regions_of(state), (enum rh_nano_version)setup->newlib);
}

static enum rh_status heap3_malloc(void *state, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status = rhn_malloc(heap3_of(state), (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap3_free(void *state, uint64_t address) {
    if (address > RH_WORD_MAX) return RH_INVALID_FREE;
    return rhn_free(heap3_of(state), (rh_word)address);
}

static enum rh_status heap3_realloc(void *state, uint64_t old, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    if (old > RH_WORD_MAX) return RH_INVALID_FREE;
    const enum rh_status status =
        rhn_realloc(heap3_of(state), (rh_word)old, (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap3_calloc(void *state, uint64_t count, uint64_t size, uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status =
        rhn_calloc(heap3_of(state), (rh_word)count, (rh_word)size, &payload);
    *address = payload;
    return status;
}

static enum rh_status heap3_memalign(void *state, uint64_t alignment, uint64_t size,
                                     uint64_t *address) {
    rh_word payload = 0;
    const enum rh_status status =
        rhn_memalign(heap3_of(state), (rh_word)alignment, (rh_word)size, &payload);
    *address = payload;
    return status;
}

struct moved_visitor {
    rh_address_visitor visit;
    void *context;
};

static bool visit_moved(void *context, rh_word address, rh_word size, bool allocated) {
    const struct moved_visitor *moved = context;
    (void)size;
    (void)allocated;
    return moved->visit(moved->context, address);
}

static void heap3_walk_moved(const void *state, rh_address_visitor visit, void *context) {
    struct moved_visitor moved = {visit, context};
    rhn_walk_moved(heap3_of(state), visit_moved, &moved);
}

static void heap3_limit(void *state, uint64_t size, bool holds) {
    rhn_limit(heap3_of(state), (rh_word)size, holds);
}

static bool heap3_held(const void *state) {
    return heap3_of(state)->bug == RH_NANO_HELD;
}

static const char *heap3_assertion(const void *state) {
    static const char *const bugs[] = {
        [RH_NANO_NO_BUG] = "nothing",
        [RH_NANO_READS_0] = "the list of free chunks is empty and sbrk refuses: this newlib then "
                            "reads the word at address 0",
        [RH_NANO_TWICE] = "this newlib left a chunk that it had extended in the list of free "
                          "chunks, and would hand it out twice",
        [RH_NANO_WRITES_4] = "this newlib extends the only free chunk, and then writes to "
                             "address 4",
        [RH_NANO_WRAPS] = "the size wraps in this newlib, which then damages its heap",
        [RH_NANO_HELD] = "nothing: it was held",
    };
    return bugs[heap3_of(state)->bug];
}

static struct rh_block heap3_block(const void *state, uint64_t payload) {
    const rh_word chunk = rhn_chunk(heap3_of(state), (rh_word)payload);
    struct rh_block found = {chunk, rh_get(regions_of(state), chunk), true};
    return found;
}

static enum rh_status heap3_verify(void *state, uint64_t payload) {
#if RH_HAS_SHADOW
    const rh_word chunk = rhn_chunk(heap3_of(state), (rh_word)payload);
    if (!nano_live_intact(regions_of(state), (rh_word)payload))
        return rh_overwritten(common_of(state), chunk);
#else
    (void)state;
    (void)payload;
#endif
    return RH_OK;
}

static uint64_t heap3_free_size(const void *state) {
    return heap3_of(state)->free_size;
}

static uint64_t heap3_nodes(const void *state) {
    return heap3_of(state)->nodes;
}

static void heap3_numbers(const void *state, struct rh_numbers *n) {
    const struct rh_nano *heap = heap3_of(state);
    struct rh_numbers numbers = {heap->minimum_ever_free,
                                 heap->allocations,
                                 heap->frees,
                                 heap->failed,
                                 heap->reached,
                                 heap->extended,
                                 heap->refused,
                                 nano_rest(heap),
                                 0};
    *n = numbers;
}

static void heap3_reset_minimum(void *state) {
    heap3_of(state)->minimum_ever_free = heap3_of(state)->free_size;
}

static enum rh_status heap3_stats(void *state, struct rh_stats64 *wide) {
    struct rh_stats stats;
    return widen_stats(rhn_stats(heap3_of(state), &stats), &stats, wide);
}

static enum rh_status heap3_walk(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rhn_walk(heap3_of(state), widen, &w);
}

static enum rh_status heap3_walk_free(void *state, rh_visitor64 visit, void *context) {
    struct widened w = {visit, context};
    return rhn_walk_free(heap3_of(state), widen, &w);
}

static enum rh_status heap3_check(void *state) {
    return rhn_check(heap3_of(state), &common_of(state)->fault);
}

static void heap3_last_fault(void *state, struct rh_fault64 *wide) {
    describe(state, heap3_walk, wide);
}

#if RH_HAS_SHADOW
/* Writes what lies between a live chunk's size and its payload. *moved is the first of the payloads
 * that memalign moved and that are still to come. */
static bool restore_chunk(void *state, rh_word chunk, rh_word size,
                          const struct rh_snapshot *snapshot, size_t *moved) {
    struct rh_region *region = regions_of(state);
    rh_word payload = nano_payload(chunk);
    if (*moved < snapshot->moved_count &&
        snapshot->moved[*moved] == (uint64_t)payload + RH_NANO_ALIGNMENT && payload == chunk + 4 &&
        size >= 2 * NANO_SMALLEST) {
        payload += RH_NANO_ALIGNMENT;
        rh_put(region, payload - 4, NANO_MINUS_8);
        ++*moved;
    } else if (payload != chunk + 4) {
        rh_put(region, chunk + 4, NANO_MINUS_4);
    }
    return restore_live(state, region, payload);
}

/* Links the free chunks in their order. 4.2.0 may list a last one that is allocated. */
static bool restore_chunk_list(void *state, const struct rh_snapshot *snapshot) {
    struct rh_nano *heap = heap3_of(state);
    struct rh_region *region = regions_of(state);
    const uint64_t extended = snapshot->numbers.extended;
    const size_t count = snapshot->free_count;
    heap->first = 0;
    heap->extended = 0;
    if (extended != 0 && (heap->version < RH_NANO_4_2_0 || heap->version > RH_NANO_4_2_0_NULL ||
                          count == 0 || snapshot->free_list[count - 1] != extended))
        return false;
    for (size_t i = count; i-- > 0;) {
        const size_t block = find_block(snapshot, snapshot->free_list[i]);
        const bool is_last = extended != 0 && i == count - 1;
        if (block == snapshot->block_count || snapshot->blocks[block].allocated != is_last)
            return false;
        const rh_word chunk = (rh_word)snapshot->free_list[i];
        if (is_last)
            heap->extended = chunk;
        else
            rh_put(region, chunk + 4, heap->first);
        heap->first = chunk;
    }
    return true;
}

static enum rh_status heap3_restore(void *state, const struct rh_snapshot *snapshot) {
    struct rh_nano *heap = heap3_of(state);
    struct rh_region *region = regions_of(state);
    RESTORE_COUNTERS(heap, &snapshot->numbers);
    restore_begin(state);
    if (snapshot->numbers.reached > region->size) return RH_CORRUPT;
    heap->reached = (rh_word)snapshot->numbers.reached;
    heap->free_size = region->size - heap->reached;
    heap->lowest = 0;
    size_t moved = 0;
    /* From the first chunk on, which sbrk's alignment may have moved, all adjoin up to the break.
     */
    rh_word chunk = 0;
    const rh_word end = nano_break(heap);
    for (size_t i = 0; i < snapshot->block_count; i++) {
        const struct rh_block *block = &snapshot->blocks[i];
        if (i == 0) {
            if (region_of_header(state, block->address) == NULL || block->address % 4 != 0 ||
                (rh_word)block->address - region->base >= heap->reached)
                return RH_CORRUPT;
            chunk = heap->lowest = (rh_word)block->address;
        }
        if (block->address != chunk || block->size < NANO_SMALLEST || block->size % 4 != 0 ||
            block->size > end - chunk)
            return RH_CORRUPT;
        if (block->size < NANO_LEAST) heap->least = NANO_SMALLEST;
        rh_put(region, chunk, (rh_word)block->size);
        if (!block->allocated)
            heap->free_size += (rh_word)block->size;
        else if (!restore_chunk(state, chunk, (rh_word)block->size, snapshot, &moved))
            return RH_CORRUPT;
        chunk += (rh_word)block->size;
    }
    if (heap->lowest != 0 && chunk != end) return RH_CORRUPT;
    if (moved != snapshot->moved_count || !restore_chunk_list(state, snapshot) ||
        !restore_ever(state, snapshot))
        return RH_CORRUPT;
    return heap3_check(state);
}
#endif

static const struct rh_ops heap3_ops = {
    OPS_OF_ALL,
    RESTORE(heap3_restore),
    INDEX(heap3_ranked),
    .kind = 3,
    .can_free = true,
    .zero_size_is_live = true,
    .only_alignment = RH_NANO_ALIGNMENT,
    .init = heap3_init,
    .malloc = heap3_malloc,
    .free = heap3_free,
    .has_calls = true,
    .realloc = heap3_realloc,
    .calloc = heap3_calloc,
    .memalign = heap3_memalign,
    .walk_moved = heap3_walk_moved,
    .limit = heap3_limit,
    .held = heap3_held,
    .assertion = heap3_assertion,
    .block = heap3_block,
    .verify = heap3_verify,
    .free_size = heap3_free_size,
    .nodes = heap3_nodes,
    .numbers = heap3_numbers,
    .reset_minimum = heap3_reset_minimum,
    .stats = heap3_stats,
    .walk = heap3_walk,
    .walk_free = heap3_walk_free,
    .check = heap3_check,
    .last_fault = heap3_last_fault,
};
