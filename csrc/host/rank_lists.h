/*
 * The lists of the heaps by their index: what the core asks of it, and tells it. A part of
 * word_size.h.
 *
 * A call meets the headers whose bytes it uses: of the block that it takes or gives back, of the
 * entries that are to be linked to it, and of one that it takes in. An allocation that fails meets
 * none.
 */

/* --- heap_4, heap_5 ----------------------------------------------------------------------------
 */

RH_INLINE enum rh_status rh_ranked_find(struct rh_heap4 *heap, rh_word wanted, bool many,
                                        struct rh_ff_fit *fit) {
    struct rank_fit found;
    rank_find(&heap->common, wanted, many, &found);
    RH_SET_NODES(heap, found.nodes);
    fit->before = found.before;
    fit->block = found.entry;
    fit->size = found.size;
    fit->region = found.region;
    fit->place = found.place;
    if (found.entry == 0) return RH_FRAGMENTED;
    RH_VISIT(heap, found.region, found.entry);
    if (found.before != 0) RH_VISIT(heap, found.before_region, found.before);
    return RH_OK;
}

RH_INLINE enum rh_status rh_ranked_place(struct rh_heap4 *heap, rh_word block, bool many,
                                         struct rh_ff_gap *gap) {
    struct rank_gap found;
    rank_gap(&heap->common, block, many, &found);
    gap->before = found.before;
    gap->place = found.place;
    gap->nodes = found.nodes;
    gap->region = RH_FIRST_REGION(heap);
    gap->after = heap->head.next ^ heap->canary;
    if (found.before == 0) return RH_OK;
    RH_VISIT(heap, found.region, found.before);
    gap->region = found.region;
    gap->after = rh_next(found.region, found.before) ^ heap->canary;
    return RH_OK;
}

RH_INLINE void rh_ranked_took(struct rh_heap4 *heap, const struct rh_ff_fit *fit, rh_word rest,
                              bool many) {
    const struct rh_common *common = &heap->common;
    const rh_word end = fit->block + fit->size;
    if (rest == 0) {
        rank_take_at(common, fit->place, fit->size, many);
        return;
    }
    rank_move(common, fit->place, fit->size, rank_place(common, end - rest, many), rest, many);
    if (!many || !RH_IS_OLD(heap, RH_OLD_ABSORB) || end == heap->end) return;
    /* Nothing that is free begins where the rest ends, but for a marker that it took in. */
    const uint32_t marker = rank_place(common, end, many);
    if (rank_has(common->rank, marker)) rank_take_at(common, marker, 0, many);
}

RH_INLINE void rh_ranked_gave(struct rh_heap4 *heap, const struct rh_ff_gap *gap,
                              const struct rh_ff_gift *gift, bool many) {
    const struct rank_gift given = {gift->joins_before ? gap->before : 0, gap->place,
                                    gift->joins_after ? gap->after : 0, gift->whole - gift->size,
                                    gift->whole + (gift->joins_before ? gift->before_size : 0)};
    rank_gave(&heap->common, &given, many);
}

static void *heap4_index(void *state) {
    struct rh_heap4 *heap = heap4_of(state);
    struct rh_common *common = &heap->common;
    struct rh_rank *rank = rank_of_regions(common, common->alignment_shift);
    if (rank == NULL) return NULL;
    rank->size_at = RH_SIZE_AT;
    common->rank = rank;
    struct rh_region *region = common->regions;
    for (rh_word entry = heap->head.next ^ heap->canary; entry != heap->end;
         entry = rh_next(region, entry) ^ heap->canary) {
        region = rh_region_near(common, region, entry, true);
        rank_put_at(rank, rank_place(common, entry, true), rh_size(region, entry));
    }
    common->rank = NULL;
    return rank;
}

/* Would a free of a live payload meet an overwritten header? */
static enum rh_status heap4_meets(void *state, uint64_t payload) {
    struct rh_heap4 *heap = heap4_of(state);
    const rh_word block = (rh_word)payload - heap->common.header;
    const struct rh_region *region = rh_find_region(&heap->common, block);
    struct rh_ff_gap gap;
    const enum rh_status status = rh_ranked_place(heap, block, true, &gap);
    if (status != RH_OK) return status;
    const rh_word end = block + (rh_size(region, block) & ~RH_TOP_BIT);
    if (end == gap.after && end != heap->end) RH_VISIT(heap, region, end);
    return RH_OK;
}

static const struct rh_list_index heap4_ranked = {.make = heap4_index,
                                                  .drop = rank_drop,
                                                  .use = rank_use,
                                                  .is_used = rank_is_used,
                                                  .meets = heap4_meets,
                                                  .sums = rank_sums};

/* --- heap_2 ------------------------------------------------------------------------------------
 */

/* Of two places one is for the last block, whose size need be no multiple of the alignment. */
RH_INLINE uint32_t rank_place_of_size(const struct rh_rank *rank, rh_word size) {
    const rh_word steps = size >> rank->shift;
    return RANK_FIRST + (uint32_t)(2 * steps) + (steps << rank->shift != size);
}

RH_SHARED void rh2_ranked_find(struct rh_heap2 *heap, rh_word size, struct rh2_place *place) {
    const struct rh_rank *rank = heap->common.rank;
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const uint32_t before = rank_place_before(rank, rank_place_of_size(rank, size));
    place->before = 0;
    place->nodes = 0;
    place->after = heap->head.next;
    if (before != RANK_HEAD) {
        const struct rank_class *classes = rank->classes[before / 64]->of;
        place->before = classes[before % 64].oldest;
        place->after = rh_next(region, place->before);
        place->nodes = rank_entries_before(rank, before / 64);
        for (uint64_t bits = rank->bits[0][before / 64] << (63 - before % 64) >> (63 - before % 64);
             bits != 0; bits &= bits - 1)
            place->nodes += classes[RANK_LOWEST(bits)].count;
    }
    if (place->after != heap->end_marker) RH_COUNT_NODE(place->nodes);
}

/* The newest entry of its size is one no more. */
RH_SHARED void rh2_ranked_took(struct rh_heap2 *heap, rh_word size) {
    struct rh_rank *rank = heap->common.rank;
    const uint32_t place = rank_place_of_size(rank, size);
    if (--rank->classes[place / 64]->of[place % 64].count == 0) rank_unmark(rank, place);
    rank_add(rank, place / 64, (uint32_t)-1);
}

/* A block is the newest entry of its size. Without memory for that there is no index any more. */
RH_SHARED void rh2_ranked_gave(struct rh_heap2 *heap, rh_word block, rh_word size) {
    struct rh_rank *rank = heap->common.rank;
    const uint32_t place = rank_place_of_size(rank, size);
    struct rank_classes **classes = &rank->classes[place / 64];
    if (*classes == NULL) {
        *classes = calloc(1, sizeof **classes);
        if (*classes == NULL) {
            rank->failed = true;
            heap->common.rank = NULL;
            return;
        }
        (*classes)->next = rank->all_classes;
        rank->all_classes = *classes;
    }
    struct rank_class *class = &(*classes)->of[place % 64];
    if (class->count++ == 0) {
        class->oldest = block;
        rank_mark(rank, place);
    }
    rank_add(rank, place / 64, 1);
}

static void *heap2_index(void *state) {
    struct rh_heap2 *heap = heap2_of(state);
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const unsigned shift = heap->common.alignment_shift;
    struct rh_rank *rank = rank_new(2 * ((uint64_t)region->size >> shift) + 2, 1, true);
    if (rank == NULL) return NULL;
    rank->shift = shift;
    heap->common.rank = rank;
    rh_word block = heap->head.next;
    while (block != heap->end_marker && !rank->failed) {
        const rh_word size = rh_size(region, block);
        rh_word oldest = block, next = rh_next(region, block);
        rh2_ranked_gave(heap, block, size);
        /* The list goes from the newest to the oldest. */
        for (; next != heap->end_marker && rh_size(region, next) == size && !rank->failed;
             next = rh_next(region, next)) {
            rh2_ranked_gave(heap, next, size);
            oldest = next;
        }
        if (rank->failed) break;
        const uint32_t place = rank_place_of_size(rank, size);
        rank->classes[place / 64]->of[place % 64].oldest = oldest;
        block = next;
    }
    heap->common.rank = NULL;
    if (!rank->failed) return rank;
    rank_drop(rank);
    return NULL;
}

static enum rh_status heap2_meets(void *state, uint64_t payload) {
    struct rh_heap2 *heap = heap2_of(state);
    struct rh2_place place;
    rh2_ranked_find(heap, (rh_word)block_with_header(state, payload).size, &place);
    if (place.before != 0) RH_VISIT(heap, RH_FIRST_REGION(heap), place.before);
    return RH_OK;
}

static void heap2_sums(const void *state, uint64_t *largest, uint64_t *count) {
    const struct rh_rank *rank = common_of(state)->rank;
    const uint32_t last = rank_place_before(rank, rank_end(rank));
    *count = rank->nodes[1].count;
    *largest = 0;
    if (last == RANK_HEAD) return;
    *largest = rh_size(regions_of(state), rank->classes[last / 64]->of[last % 64].oldest);
}

static const struct rh_list_index heap2_ranked = {.make = heap2_index,
                                                  .drop = rank_drop,
                                                  .use = rank_use,
                                                  .is_used = rank_is_used,
                                                  .meets = heap2_meets,
                                                  .sums = heap2_sums};

/* --- heap_3, newlib-nano -----------------------------------------------------------------------
 */

#if RH_WORD_BYTES == 4
RH_SHARED enum rh_status nano_ranked_find(struct rh_nano *heap, rh_word wanted,
                                          struct nano_fit *fit) {
    const struct rh_common *common = &heap->common;
    struct rh_region *region;
    struct rank_fit found;
    rank_find(common, wanted, false, &found);
    if (found.entry == 0 && heap->extended != 0) return nano_bug(heap, RH_NANO_TWICE);
    if (found.entry != 0) RH_VISIT(heap, found.region, found.entry);
    if (found.before != 0 && found.entry != 0) RH_VISIT(heap, found.before_region, found.before);
    RH_SET_NODES(heap, found.nodes);
    fit->before_last = 0;
    fit->before = found.before;
    fit->chunk = found.entry;
    fit->size = found.size;
    if (found.entry != 0 || found.before == 0) return RH_OK;
    const uint32_t place = rank_place_before(common->rank, rank_place(common, found.before, false));
    if (place != RANK_HEAD) fit->before_last = rank_entry(common, place, false, &region);
    return RH_OK;
}

RH_SHARED enum rh_status nano_ranked_place(struct rh_nano *heap, rh_word chunk, rh_word *before,
                                           rh_word *after, rh_word *nodes) {
    struct rank_gap found;
    rank_gap(&heap->common, chunk, false, &found);
    if (found.before != 0) RH_VISIT(heap, found.region, found.before);
    *before = found.before;
    *after = heap->first;
    if (found.before != 0) *after = rh_get(found.region, found.before + NANO_LINK_AT);
    *nodes = found.nodes;
    return RH_OK;
}

/* Of its headers the rest's is written, but not yet that of what is taken. */
RH_SHARED void nano_ranked_took(struct rh_nano *heap, rh_word chunk, rh_word size, rh_word rest) {
    const struct rh_common *common = &heap->common;
    const uint32_t place = rank_place(common, chunk, false);
    if (rest == 0)
        rank_take_at(common, place, size, false);
    else if (heap->version < RH_NANO_4_2_0)
        rank_lower(common, place / 64, size, false);
    else
        rank_move(common, place, size, rank_place(common, chunk + size - rest, false), rest, false);
}

RH_SHARED void nano_ranked_gave(struct rh_nano *heap, rh_word before, rh_word chunk, rh_word size,
                                rh_word after_size) {
    const rh_word whole = size + after_size;
    const struct rank_gift gift = {before, rank_place(&heap->common, chunk, false),
                                   after_size != 0 ? chunk + size : 0, after_size,
                                   before == 0 ? whole : rh_get(RH_FIRST_REGION(heap), before)};
    rank_gave(&heap->common, &gift, false);
}

static void *heap3_index(void *state) {
    struct rh_nano *heap = heap3_of(state);
    struct rh_common *common = &heap->common;
    const struct rh_region *region = common->regions;
    struct rh_rank *rank = rank_of_regions(common, 2);
    if (rank == NULL) return NULL;
    common->rank = rank;
    for (rh_word chunk = heap->first; chunk != 0 && chunk != heap->extended;
         chunk = rh_get(region, chunk + NANO_LINK_AT))
        rank_put_at(rank, rank_place(common, chunk, false), rh_get(region, chunk));
    common->rank = NULL;
    return rank;
}

static enum rh_status heap3_meets(void *state, uint64_t payload) {
    struct rh_nano *heap = heap3_of(state);
    const struct rh_region *region = RH_FIRST_REGION(heap);
    const rh_word chunk = rhn_chunk(heap, (rh_word)payload);
    rh_word before, after, nodes;
    const enum rh_status status = nano_ranked_place(heap, chunk, &before, &after, &nodes);
    if (status != RH_OK) return status;
    const bool swallows = after == chunk + rh_get(region, chunk);
    if (swallows && after != heap->extended) RH_VISIT(heap, region, after);
    return RH_OK;
}

static void heap3_sums(const void *state, uint64_t *largest, uint64_t *count) {
    const rh_word rest = nano_rest(heap3_of(state));
    rank_sums(state, largest, count);
    if (rest > *largest) *largest = rest;
    *count += rest != 0;
}

static const struct rh_list_index heap3_ranked = {.make = heap3_index,
                                                  .drop = rank_drop,
                                                  .use = rank_use,
                                                  .is_used = rank_is_used,
                                                  .meets = heap3_meets,
                                                  .sums = heap3_sums};
#endif
