/*
 * The list of heap_4 and heap_5 by its index: where first fit finds a block, where one belongs that
 * is given back, and what both change in the index.
 */
#ifndef RH_FIRST_FIT_INDEX_H
#define RH_FIRST_FIT_INDEX_H

/* Included by rh_first_fit.h, where its heap and its list are known. */

/* In firmware an index is of the whole heap, or the heap is not set up; a host's heap goes without
 * one where there are too many regions, or they are too large. */
#define RH_IS_INDEXED(heap) (!RH_HOSTED || (heap)->index.state.region_count - 1 < RH_INDEX_REGIONS)
#define RH_INDEX_STATE(state) struct rh_index_state state
#define RH_INDEX_BEGIN(state) ((void)memset(&(state), 0, sizeof(state)))
#define RH_INDEX_ADD(state, range, shift, many) rh_index_add(&(state), (range), (shift), (many))
#define RH_INDEX_HAS_ROOM(state) (RH_HOSTED || (state).region_count <= RH_INDEX_REGIONS)
#define RH_INDEX_BUILD(heap, given, many)                                                          \
    do {                                                                                           \
        (heap)->index.state = (given);                                                             \
        if (RH_IS_OLD((heap), RH_OLD_ABSORB))                                                      \
            (heap)->index.state.region_count = RH_INDEX_REGIONS + 1;                               \
        if (RH_IS_INDEXED(heap)) rh_index_build((heap), RH_INDEX_NEAR, (many));                    \
    } while (0)

/* The first entry of the index, or the list's end: those before it are near. Whether a malloc has
 * it to search, and whether a block that is given back lies beyond it. */
#if RH_INDEX_NEAR > 0
#define RH_FAR_ENTRY(heap) ((heap)->index.state.far)
#define RH_FAR_SHARED RH_SHARED
#define RH_HAS_FAR(heap) (RH_IS_INDEXED(heap) && RH_FAR_ENTRY(heap) != (heap)->end)
#define RH_IS_FAR(heap, block) (RH_IS_INDEXED(heap) && (block) > RH_FAR_ENTRY(heap))
#define RH_JOINS_FAR(heap, entry) (RH_IS_INDEXED(heap) && (entry) == RH_FAR_ENTRY(heap))
#define RH_NEAR_TOOK(heap, rest) ((rest) == 0 ? (void)(heap)->index.state.near-- : (void)0)
#else
#define RH_FAR_SHARED RH_INLINE
#define RH_HAS_FAR(heap) RH_IS_INDEXED(heap)
#define RH_IS_FAR(heap, block) RH_IS_INDEXED(heap)
#define RH_NEAR_TOOK(heap, rest) ((void)(rest))
#endif

#define RH_INDEX_GAVE(heap, gap, gift, many, far)                                                  \
    do {                                                                                           \
        if (far)                                                                                   \
            rh_index_gave_far((heap), (gap), (gift), (many));                                      \
        else if (RH_INDEX_NEAR > 0 && RH_IS_INDEXED(heap))                                         \
            rh_index_gave_near((heap), (gift), (many));                                            \
    } while (0)
#define RH_FAR_PLACE(heap, block, many, gap) rh_index_place((heap), (block), (many), (gap))

/* --- places ------------------------------------------------------ */

RH_STEP const struct rh_index_region *rh_region_of(const struct rh_heap4 *heap, rh_word address,
                                                   bool many) {
    const struct rh_index_region *region = heap->index.state.regions;
    if (!many) return region;
    region += heap->index.state.region_count - 1;
    RH_WHILE(address < region->start, RH_INDEX_REGIONS - 1)
        region--;
    return region;
}

RH_STEP const struct rh_index_region *rh_region_at(const struct rh_heap4 *heap, uint32_t place,
                                                   bool many) {
    const struct rh_index_region *region = heap->index.state.regions;
    if (!many) return region;
    region += heap->index.state.region_count - 1;
    RH_WHILE(place < region->place, RH_INDEX_REGIONS - 1)
        region--;
    return region;
}

RH_STEP uint32_t rh_place_of(const struct rh_heap4 *heap, rh_word address, bool many) {
    const struct rh_index_region *region = rh_region_of(heap, address, many);
    const uint32_t steps = (uint32_t)((address - region->base) >> RH_SHIFT_OF(heap));
    return many ? region->place + steps : steps;
}

/* The same, for what is at that place in the index. Of an address that is no entry's, to which a
 * forged header may have led, it is some place, but none outside the index. */
RH_STEP uint32_t rh_index_at(const struct rh_heap4 *heap, rh_word address, bool many) {
    const uint32_t place = rh_place_of(heap, address, many) & RH_INDEX_MASK;
    return place < RH_INDEX_STEPS ? place : place & (RH_INDEX_MASK >> 1);
}

/* The entry at a place that the index found. */
RH_STEP rh_word rh_entry_at(const struct rh_heap4 *heap, uint32_t place, bool many) {
    const struct rh_index_region *region = rh_region_at(heap, place, many);
    return region->base + ((rh_word)(many ? place - region->place : place) << RH_SHIFT_OF(heap));
}

RH_STEP rh_word rh_ff_next(struct rh_heap4 *heap, rh_word entry, bool many) {
#if RH_HEAD_IS_APART
    if (entry == 0) return heap->head.next ^ RH_CANARY_OF(heap);
#endif
    return rh_next(RH_REGION_NEAR(heap, RH_FIRST_REGION(heap), entry, many), entry) ^
           RH_CANARY_OF(heap);
}

RH_STEP uint32_t rh_steps(const struct rh_heap4 *heap, rh_word size) {
    (void)heap;
    return (uint32_t)(size >> RH_SHIFT_OF(heap));
}

/* Are two entries in one chunk, the bits of which are together? */
RH_STEP bool rh_share_group(const struct rh_heap4 *heap, rh_word one, rh_word other, bool many) {
    return RH_INDEX_CHUNK_PLACES == 16 &&
           (rh_place_of(heap, one, many) ^ rh_place_of(heap, other, many)) < 16;
}

RH_STEP rh_index_group *rh_group_of(struct rh_heap4 *heap, rh_word entry, bool many) {
    return &heap->index.groups[rh_index_at(heap, entry, many) / RH_INDEX_GROUP];
}

RH_STEP rh_index_group rh_group_bit(const struct rh_heap4 *heap, rh_word entry, bool many) {
    return (rh_index_group)((uint32_t)1 << rh_place_of(heap, entry, many) % RH_INDEX_GROUP);
}

/* --- changes ----------------------------------------------------- */

/* The last address at which an entry of a place's chunk can be. */
RH_STEP rh_word rh_chunk_end(const struct rh_heap4 *heap, uint32_t place, bool many) {
    const struct rh_index_region *region = rh_region_at(heap, place, many);
    const uint32_t last = (many ? place - region->place : place) | (RH_INDEX_CHUNK_PLACES - 1);
    const rh_word end = region->base + ((rh_word)last << RH_SHIFT_OF(heap));
    return many && end - region->base > region->end - region->base ? region->end : end;
}

/* The largest entry of a place's chunk, of those from the chunk's `first` on. */
RH_STEP uint32_t rh_chunk_largest(struct rh_heap4 *heap, uint32_t place, rh_word first, bool many) {
    const rh_word end = rh_chunk_end(heap, place, many);
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word largest = 0;
#if RH_CHECKS == 1
    rh_word lowest = heap->lowest; /* links ascend: a search may not have met these */
#endif
    RH_WHILE(first <= end, RH_INDEX_CHUNK_ENTRIES) {
#if RH_CHECKS == 1
        if (first < lowest) {
            RH_ASSERT_FAILED();
            break;
        }
        lowest = first + 1;
#endif
        region = RH_REGION_NEAR(heap, region, first, many);
        rh_word size = rh_size(region, first);
        RH_FORGET(size);
        first = rh_next(region, first) ^ RH_CANARY_OF(heap);
        if (size > largest) largest = size;
    }
    return rh_steps(heap, largest);
}

/* An entry comes, or grows. */
RH_SHARED void rh_index_put(struct rh_heap4 *heap, rh_word entry, rh_word size, bool many) {
    const uint32_t place = rh_index_at(heap, entry, many);
    rh_bit_put(&heap->index, place);
    rh_tree_raise(&heap->index, place / RH_INDEX_CHUNK_PLACES, rh_steps(heap, size));
}

/* One goes. `first` is the first that is left of its chunk, or one beyond it. */
RH_SHARED void rh_index_take(struct rh_heap4 *heap, rh_word entry, rh_word size, rh_word first,
                             bool many) {
    struct rh_index *index = &heap->index;
    const uint32_t place = rh_index_at(heap, entry, many);
    const uint32_t chunk = place / RH_INDEX_CHUNK_PLACES;
    const uint32_t old = rh_steps(heap, size);
    uint32_t largest = 0;
    const bool empty = rh_bit_take(index, place);
    if (RH_INDEX_CHUNK_PLACES > 16 && index->leaves[chunk] != RH_AS_NODE(old)) return;
    if (!empty || RH_INDEX_CHUNK_PLACES > 16) largest = rh_chunk_largest(heap, place, first, many);
    rh_tree_lower(index, chunk, old, largest);
}

#if RH_INDEX_NEAR > 0
/* An entry is near no more: another takes its place. */
RH_SHARED void rh_index_approach(struct rh_heap4 *heap, bool many) {
    struct rh_index_state *state = &heap->index.state;
    const rh_word entry = state->far;
    if (--state->near >= (RH_INDEX_NEAR + 1) / 2 || entry == heap->end) return;
    struct rh_region *region = RH_REGION_NEAR(heap, RH_FIRST_REGION(heap), entry, many);
    state->near++;
    state->far = rh_next(region, entry) ^ RH_CANARY_OF(heap);
    rh_index_take(heap, entry, rh_size(region, entry), state->far, many);
}

/* There are too many near entries: the last of them, which `near` is or leads to, goes. */
RH_SHARED void rh_index_retreat(struct rh_heap4 *heap, rh_word near, bool many) {
    struct rh_index_state *state = &heap->index.state;
    struct rh_region *region = RH_REGION_NEAR(heap, RH_FIRST_REGION(heap), near, many);
    rh_word next = rh_next(region, near) ^ RH_CANARY_OF(heap);
    RH_WHILE(next != state->far, RH_INDEX_NEAR) {
        near = next;
        region = RH_REGION_NEAR(heap, region, near, many);
        next = rh_next(region, near) ^ RH_CANARY_OF(heap);
    }
    state->near--;
    state->far = near;
    rh_index_put(heap, near, rh_size(region, near), many);
}
#endif

/* What a malloc changed: the block that it found is allocated, but for the `rest` bytes at its end
 * (0: none), which are an entry in its place. */
RH_STEP void rh_index_took(struct rh_heap4 *heap, const struct rh_ff_fit *fit, rh_word rest,
                           bool many) {
#if RH_INDEX_NEAR > 0
    if (fit->block < heap->index.state.far) {
        if (rest == 0) rh_index_approach(heap, many);
        return;
    }
    if (fit->block == heap->index.state.far)
        heap->index.state.far = rh_ff_next(heap, fit->before, many);
#endif
    const rh_word entry = fit->block + (fit->size - rest);
    const rh_word first =
        fit->block == fit->first ? rh_ff_next(heap, fit->before, many) : fit->first;
    const bool together = rest != 0 && rh_share_group(heap, fit->block, entry, many);
    if (together) *rh_group_of(heap, entry, many) |= rh_group_bit(heap, entry, many);
    rh_index_take(heap, fit->block, fit->size, first, many);
    if (rest != 0 && !together) rh_index_put(heap, entry, rest, many);
}

/* A block was given back: what is beyond the first entry of the index, or joins it. */
RH_STEP void rh_index_gave_far(struct rh_heap4 *heap, const struct rh_ff_gap *gap,
                               const struct rh_ff_gift *gift, bool many) {
    const rh_word entry = gift->joins_before ? gap->before : gift->block;
    const rh_word size = gift->joins_before ? gift->before_size + gift->whole : gift->whole;
#if RH_INDEX_NEAR > 0
    struct rh_index_state *state = &heap->index.state;
    if (gap->after == state->far) {
        if (gift->joins_before) state->near--;
        state->far = entry;
    }
#endif
    /* The sooner the larger one is in, the less changes where the other goes; but where both can be
     * RH_NODE_MOST, a node could not tell which of them it is. */
    if (!RH_NODE_CAPS) rh_index_put(heap, entry, size, many);
    if (gift->joins_after) {
        if (rh_share_group(heap, entry, gap->after, many))
            *rh_group_of(heap, gap->after, many) &=
                (rh_index_group)~rh_group_bit(heap, gap->after, many);
        else /* of the entries after it, `after` was the first in its chunk */
            rh_index_take(heap, gap->after, gift->whole - gift->size, rh_ff_next(heap, entry, many),
                          many);
    }
    if (RH_NODE_CAPS) rh_index_put(heap, entry, size, many);
}

#if RH_INDEX_NEAR > 0
RH_STEP void rh_index_gave_near(struct rh_heap4 *heap, const struct rh_ff_gift *gift, bool many) {
    if (gift->joins_before) {
        if (gift->joins_after) rh_index_approach(heap, many);
    } else if (!gift->joins_after) {
        if (++heap->index.state.near > RH_INDEX_NEAR) rh_index_retreat(heap, gift->block, many);
    }
}
#else
#define rh_index_gave_near(heap, gift, many) ((void)0)
#endif

/* How many entries lie before an address: what a search of the list would have read. */
#if RH_KEEP_NODES
RH_STEP rh_word rh_index_rank(const struct rh_heap4 *heap, rh_word address, bool many) {
    const uint32_t place = rh_at_most(rh_place_of(heap, address, many), (uint32_t)RH_INDEX_STEPS);
#if RH_INDEX_NEAR > 0
    rh_word rank = heap->index.state.near;
#else
    rh_word rank = 0;
#endif
    for (uint32_t group = 0; group * (uint32_t)RH_INDEX_GROUP < place; group++) {
        uint32_t bits = heap->index.groups[group];
        if (group == place / RH_INDEX_GROUP) bits &= ((uint32_t)1 << place % RH_INDEX_GROUP) - 1;
        for (; bits != 0; bits &= bits - 1)
            rank++;
    }
    return rank;
}
#define RH_INDEX_RANK(heap, address, many) rh_index_rank((heap), (address), (many))
#else
#define RH_INDEX_RANK(heap, address, many) 0
#endif

/* --- searches ---------------------------------------------------- */

/* What an entry that the tree leads to has at least: it need not have all, see RH_NODE_MOST. */
RH_STEP rh_word rh_index_least(const struct rh_heap4 *heap, rh_word wanted) {
    const rh_word most = (rh_word)RH_NODE_MOST << RH_SHIFT_OF(heap);
    (void)heap;
    return RH_NODE_CAPS && wanted > most ? most : wanted;
}

/* The entry before a chunk: one of the index, or the last that is near. */
RH_STEP rh_word rh_index_before(const struct rh_heap4 *heap, uint32_t chunk, rh_word near,
                                bool many) {
    const uint32_t group = chunk * (uint32_t)(RH_INDEX_CHUNK_PLACES / RH_INDEX_GROUP);
    uint32_t place;
    return rh_bit_before_group(&heap->index, group, &place) ? rh_entry_at(heap, place, many) : near;
}

RH_STEP enum rh_status rh_index_find(struct rh_heap4 *heap, rh_word wanted, bool many,
                                     struct rh_ff_fit *fit) {
    const struct rh_index *index = &heap->index;
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word before = RH_HEAD(heap);
    rh_word block = heap->head.next ^ RH_CANARY_OF(heap);
    rh_word found, nodes = 0;
#if RH_INDEX_NEAR > 0
    fit->first = block; /* not read where a near entry is found, which a compiler may not see */
    RH_WHILE(block != index->state.far, RH_INDEX_NEAR) {
        RH_FF_MEET(heap, region, block, many);
        RH_COUNT_NODE(nodes);
        found = rh_size(region, block);
        if (found >= wanted) goto done;
        before = block;
        block = rh_next(region, block) ^ RH_CANARY_OF(heap);
    }
#endif
    const uint32_t chunk = rh_tree_find(index, rh_steps(heap, wanted));
    if (chunk == RH_NOWHERE) {
        RH_SET_NODES(heap, RH_INDEX_RANK(heap, heap->end, many));
        return RH_FRAGMENTED;
    }
    const rh_word least = rh_index_least(heap, wanted);
#if RH_INDEX_CHUNK_PLACES == 16
    block = rh_entry_at(heap, chunk * 16 + RH_LOWEST(index->groups[chunk]), many);
#else
    before = rh_index_before(heap, chunk, before, many);
    block = rh_ff_next(heap, before, many);
#endif
    fit->first = block;
    RH_FF_MEET(heap, region, block, many);
    found = rh_size(region, block);
#if RH_INDEX_CHUNK_PLACES == 16
    if (found >= least) {
        before = rh_index_before(heap, chunk, before, many);
    } else
#endif
    {
        RH_WHILE(found < least, RH_INDEX_CHUNK_ENTRIES - 1) {
            before = block;
            block = rh_next(region, block) ^ RH_CANARY_OF(heap);
            RH_FF_MEET(heap, region, block, many);
            found = rh_size(region, block);
        }
    }
#if RH_HAS_SHADOW
    if (before != RH_HEAD(heap)) /* the index led to it; its link is about to be written */
        RH_VISIT(heap, RH_REGION_NEAR(heap, region, before, many), before);
#endif
    RH_FORGET(before);
    RH_FORGET(block);
    if (RH_NODE_CAPS && found < wanted) {
        RH_SET_NODES(heap, RH_INDEX_RANK(heap, heap->end, many));
        return RH_FRAGMENTED;
    }
    nodes = RH_INDEX_RANK(heap, block, many) + 1;
#if RH_INDEX_NEAR > 0
done:
#endif
    RH_SET_NODES(heap, nodes);
    fit->before = before;
    fit->block = block;
    fit->size = found;
    RH_SET_REGION(fit, region);
    return RH_OK;
}

/* Where a block belongs that lies beyond the first entry of the index, or before it and joins. */
RH_STEP enum rh_status rh_index_place(struct rh_heap4 *heap, rh_word block, bool many,
                                      struct rh_ff_gap *gap) {
    uint32_t place = rh_index_at(heap, block, many);
    const bool found = rh_bit_before(&heap->index, &place);
#if RH_INDEX_NEAR > 0
    if (!found) return rh_ff_place(heap, block, many, gap);
#endif
    gap->before = found ? rh_entry_at(heap, place, many) : RH_HEAD(heap);
    gap->after = rh_ff_next(heap, gap->before, many);
    RH_ASSERT_LINK(heap, gap->after);
    RH_ASSERT_REGION(heap, gap->after, 0, many, RH_CORRUPT);
    RH_SET_REGION(gap, RH_REGION_NEAR(heap, RH_FIRST_REGION(heap), gap->before, many));
    if (found) RH_VISIT(heap, gap->region, gap->before);
    RH_SET_NODES(gap, RH_INDEX_RANK(heap, block, many));
    return RH_OK;
}

/* --- set-up ------------------------------------------------------ */

/* Takes in a region whose blocks lie in `range`. Where there is no room, the count says so: more
 * regions than there can be. */
RH_STEP void rh_index_add(struct rh_index_state *state, struct rh_range range, unsigned shift,
                          bool many) {
    const rh_word span = RH_INDEX_CHUNK_PLACES;
    const rh_word own = RH_INDEX_PART((range.end - range.start) >> shift, span) * span;
    rh_word place = 0;
    if (state->region_count > RH_INDEX_REGIONS) return;
    if (state->region_count != 0) {
        const struct rh_index_region *before = &state->regions[state->region_count - 1];
        place = before->place + ((before->end - before->base) >> shift) + span;
    }
    const rh_word all = (rh_word)RH_INDEX_STEPS;
    /* There may be places for a few more steps than leave but one entry that is RH_NODE_MOST. */
    rh_word steps = 0;
    if (many && RH_NODE_CAPS) {
        steps = ((range.end - range.start) >> shift) + 1;
        for (uint32_t i = 0; i < state->region_count; i++)
            steps += ((state->regions[i].end - state->regions[i].start) >> shift) + 1;
    }
    if (state->region_count == RH_INDEX_REGIONS || place > all ||
        own + (many ? span : 0) > all - place || steps > RH_INDEX_MOST_STEPS) {
        state->region_count = RH_INDEX_REGIONS + 1;
        return;
    }
    struct rh_index_region *region = &state->regions[state->region_count++];
    region->base = range.end - (own << shift);
    region->start = range.start;
    region->end = range.end;
    region->place = (uint32_t)place;
}

/* Makes the index of a list that is there, when the regions have been taken in. */
RH_STEP void rh_index_build(struct rh_heap4 *heap, uint32_t near, bool many) {
    struct rh_region *region = RH_FIRST_REGION(heap);
    rh_word entry = heap->head.next ^ RH_CANARY_OF(heap);
    memset(heap->index.words, 0, sizeof heap->index.words);
    memset(heap->index.groups, 0, sizeof heap->index.groups);
    memset(heap->index.nodes, 0, sizeof heap->index.nodes);
    memset(heap->index.leaves, 0, sizeof heap->index.leaves);
    heap->index.state.regions[0].start = 0; /* where an address below it is looked up */
#if RH_INDEX_NEAR > 0
    struct rh_index_state *state = &heap->index.state;
    for (state->near = 0; state->near < near && entry != heap->end; state->near++) {
        region = RH_REGION_NEAR(heap, region, entry, many);
        entry = rh_next(region, entry) ^ RH_CANARY_OF(heap);
    }
    state->far = entry;
#else
    (void)near;
#endif
    while (entry != heap->end) {
        region = RH_REGION_NEAR(heap, region, entry, many);
        rh_index_put(heap, entry, rh_size(region, entry), many);
        entry = rh_next(region, entry) ^ RH_CANARY_OF(heap);
    }
}

#endif
