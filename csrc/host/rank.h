/*
 * An index of a free list, for a replay: which entries there are, how large, and how many lie
 * before each. A part of word_size.h; it lies outside the arena, and ends with its replay.
 *
 * A place (rank_tree.h) stands for an address at which an entry can start (heap_2: for a size that
 * one can have). All is made of the shadow: no byte of the arena is read that was not compared with
 * it.
 */

/* --- entries in the order of addresses ---------------------------------------------------------
 */

/* `many` is a constant: whether there may be several regions. */
RH_INLINE uint32_t rank_place(const struct rh_common *common, rh_word address, bool many) {
    const struct rh_rank *rank = common->rank;
    if (!many) return (uint32_t)((address - rank->origin) >> rank->shift);
    const struct rh_region *region = rh_find_region(common, address);
    return rank->places[region - common->regions] +
           (uint32_t)((address >> rank->shift) - (region->base >> rank->shift));
}

/* The entry at a place of several regions, and its region. */
RH_SHARED rh_word rank_entry_of_many(const struct rh_common *common, uint32_t place,
                                     struct rh_region **region) {
    const struct rh_rank *rank = common->rank;
    size_t low = 0, high = common->region_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (rank->places[middle] <= place)
            low = middle;
        else
            high = middle;
    }
    *region = &common->regions[low];
    return (((*region)->base >> rank->shift) + (place - rank->places[low])) << rank->shift;
}

RH_INLINE rh_word rank_entry(const struct rh_common *common, uint32_t place, bool many,
                             struct rh_region **region) {
    const struct rh_rank *rank = common->rank;
    if (many) return rank_entry_of_many(common, place, region);
    *region = common->regions;
    return rank->origin + ((rh_word)place << rank->shift);
}

RH_INLINE uint32_t rank_steps(const struct rh_rank *rank, rh_word size) {
    return (uint32_t)(size >> rank->shift);
}

/* Of a chunk an entry of `old` bytes left, or has become smaller. */
RH_INLINE void rank_lower(const struct rh_common *common, uint32_t chunk, rh_word old, bool many) {
    struct rh_rank *rank = common->rank;
    if (rank->nodes[rank->leaves + chunk].largest != rank_steps(rank, old)) return;
    rh_word largest = 0; /* by what the headers hold now */
    for (uint64_t bits = rank->bits[0][chunk]; bits != 0; bits &= bits - 1) {
        struct rh_region *region;
        const rh_word entry = rank_entry(common, chunk * 64 + RANK_LOWEST(bits), many, &region);
        const rh_word size = rh_get(region, entry + rank->size_at);
        if (size > largest) largest = size;
    }
    rank_set(rank, chunk, rank_steps(rank, largest));
}

/* To a chunk an entry of `size` bytes came, or has become so large. */
RH_INLINE void rank_raise(struct rh_rank *rank, uint32_t chunk, rh_word size) {
    const uint32_t steps = rank_steps(rank, size);
    if (rank->nodes[rank->leaves + chunk].largest < steps) rank_set(rank, chunk, steps);
}

RH_INLINE void rank_put_at(struct rh_rank *rank, uint32_t place, rh_word size) {
    rank_mark(rank, place);
    rank_add(rank, place / 64, 1);
    rank_raise(rank, place / 64, size);
}

RH_INLINE void rank_take_at(const struct rh_common *common, uint32_t place, rh_word size,
                            bool many) {
    rank_unmark(common->rank, place);
    rank_add(common->rank, place / 64, (uint32_t)-1);
    rank_lower(common, place / 64, size, many);
}

/* An entry is now another, of another size, with none between them. */
RH_INLINE void rank_move(const struct rh_common *common, uint32_t place, rh_word old,
                         uint32_t new_place, rh_word size, bool many) {
    struct rh_rank *rank = common->rank;
    const uint32_t chunk = place / 64, new_chunk = new_place / 64;
    if (chunk == new_chunk) {
        rank->bits[0][chunk] ^= (uint64_t)1 << place % 64 | (uint64_t)1 << new_place % 64;
        if (size < old)
            rank_lower(common, chunk, old, many);
        else
            rank_raise(rank, chunk, size);
        return;
    }
    rank_unmark(rank, place);
    rank_mark(rank, new_place);
    rank_pass(rank, chunk, new_chunk);
    rank_lower(common, chunk, old, many);
    rank_raise(rank, new_chunk, size);
}

/* What a free changed. */
struct rank_gift {
    rh_word before; /* the entry that the block joined, or 0 */
    uint32_t place; /* the block's */
    rh_word after;  /* the entry that it took in, or 0 */
    rh_word after_size;
    rh_word size; /* of the entry that it has become */
};

RH_INLINE void rank_gave(const struct rh_common *common, const struct rank_gift *gift, bool many) {
    const uint32_t after = gift->after != 0 ? rank_place(common, gift->after, many) : 0;
    if (gift->before != 0) {
        if (gift->after != 0) rank_take_at(common, after, gift->after_size, many);
        rank_raise(common->rank, rank_place(common, gift->before, many) / 64, gift->size);
    } else if (gift->after != 0) {
        rank_move(common, after, gift->after_size, gift->place, gift->size, many);
    } else {
        rank_put_at(common->rank, gift->place, gift->size);
    }
}

/* Where first fit finds a block. */
struct rank_fit {
    rh_word before; /* 0: none */
    rh_word entry;  /* 0: none is large enough; then `before` is the last of all */
    rh_word size;
    uint32_t place;
    struct rh_region *region;
    struct rh_region *before_region;
    rh_word nodes; /* that a search of the list reads */
};

RH_INLINE void rank_find(const struct rh_common *common, rh_word wanted, bool many,
                         struct rank_fit *fit) {
    const struct rh_rank *rank = common->rank;
    uint32_t place = rank_end(rank);
    const uint32_t chunk = rank_first_fit(rank, rank_steps(rank, wanted), &fit->nodes);
    fit->entry = fit->size = 0;
    fit->region = common->regions;
    if (chunk == RANK_NOWHERE) {
        fit->nodes = rank->nodes[1].count;
    } else {
        for (uint64_t bits = rank->bits[0][chunk];; bits &= bits - 1) {
            place = chunk * 64 + RANK_LOWEST(bits);
            fit->entry = rank_entry(common, place, many, &fit->region);
            fit->size = rh_get(fit->region, fit->entry + rank->size_at);
            fit->nodes++;
            if (fit->size >= wanted) break;
        }
    }
    const uint32_t before = rank_place_before(rank, place);
    fit->place = place;
    fit->before = 0;
    if (before != RANK_HEAD) fit->before = rank_entry(common, before, many, &fit->before_region);
}

/* Where a block belongs that is given back. */
struct rank_gap {
    rh_word before; /* 0: none */
    uint32_t place; /* the block's */
    struct rh_region *region;
    rh_word nodes;
};

RH_INLINE void rank_gap(const struct rh_common *common, rh_word block, bool many,
                        struct rank_gap *gap) {
    const struct rh_rank *rank = common->rank;
    const uint32_t place = rank_place(common, block, many);
    const uint32_t before = rank_place_before(rank, place);
    gap->place = place;
    gap->before = 0;
    gap->nodes = 0;
    if (before == RANK_HEAD) return;
    gap->before = rank_entry(common, before, many, &gap->region);
    gap->nodes = rank_entries_before(rank, before / 64) +
                 rank_ones(rank->bits[0][before / 64] << (63 - before % 64));
}

/* --- from the beginning to the end -------------------------------------------------------------
 */

/* The calls of the heap ask the index from now on; NULL: none. */
static void rank_use(void *state, void *index) {
    struct rh_rank *rank = index;
    common_of(state)->rank = rank != NULL && rank->failed ? NULL : rank;
}

static bool rank_is_used(const void *state) {
    return common_of(state)->rank != NULL;
}

/* An index of entries by their addresses, without any. */
static struct rh_rank *rank_of_regions(const struct rh_common *common, unsigned shift) {
    uint64_t places = 0;
    for (size_t i = 0; i < common->region_count; i++)
        places += ((uint64_t)common->regions[i].size >> shift) + 2;
    struct rh_rank *rank = rank_new(places, common->region_count, false);
    if (rank == NULL) return NULL;
    rank->shift = shift;
    rank->origin = ((common->regions[0].base >> shift) - RANK_FIRST) << shift;
    uint32_t place = RANK_FIRST;
    for (size_t i = 0; i < common->region_count; i++) {
        rank->places[i] = place;
        place += (uint32_t)(common->regions[i].size >> shift) + 2;
    }
    return rank;
}

static void rank_sums(const void *state, uint64_t *largest, uint64_t *count) {
    const struct rh_rank *rank = common_of(state)->rank;
    *largest = (uint64_t)rank->nodes[1].largest << rank->shift;
    *count = rank->nodes[1].count;
}
