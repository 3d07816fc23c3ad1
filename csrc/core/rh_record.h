/*
 * Headers, and the record that RH_CHECKS 2 keeps of them outside the arena.
 *
 * The record of a region is a shadow (each header that the heap wrote, at the same offset as in
 * the arena) and two bits for each multiple of the alignment: a live payload starts here, and one
 * ever did. No stray write reaches it. A header is compared with its shadow each time it is read,
 * and the shadow's value is the one used: so nothing in the arena can mislead a heap, whenever it
 * changes, and an overwritten header is found by the first call that meets it.
 */
#ifndef RH_RECORD_H
#define RH_RECORD_H

#include "rh_arena.h"

#define RH_SIZE_AT RH_WORD_BYTES /* offset of a header's size */

#if RH_HAS_RECORD

RH_INLINE rh_word rh_record_bits(rh_word size, rh_word alignment) {
    return (size / alignment + 1) / 8 + 1; /* an unaligned base costs one bit more */
}

/* Bytes of the record of a region. */
RH_INLINE size_t rh_record_bytes(rh_word size, rh_word alignment) {
    return (size_t)size + 2 * (size_t)rh_record_bits(size, alignment);
}

RH_INLINE void rh_record_start(struct rh_region *region, rh_word alignment) {
    region->bits_at = region->size;
    region->bits_bytes = rh_record_bits(region->size, alignment);
    memset(region->record, 0, rh_record_bytes(region->size, alignment));
}

RH_INLINE rh_word rh_shadow(const struct rh_region *region, rh_word address) {
    rh_word value;
    memcpy(&value, region->record + (rh_word)(address - region->base), sizeof value);
    return value;
}

RH_INLINE void rh_shadow_store(const struct rh_region *region, rh_word address, rh_word value) {
    memcpy(region->record + (rh_word)(address - region->base), &value, sizeof value);
}

/* Which bit is a payload's? Payloads are aligned, the region's base need not be. */
RH_INLINE rh_word rh_bit_of(const struct rh_region *region, rh_word payload, unsigned shift) {
    return (payload >> shift) - (region->base >> shift);
}

RH_INLINE bool rh_bit(const unsigned char *bits, rh_word bit) {
    return (bits[bit >> 3] >> (bit & 7) & 1) != 0;
}

RH_INLINE void rh_mark_live(struct rh_region *region, rh_word payload, unsigned shift) {
    rh_word bit = rh_bit_of(region, payload, shift);
    unsigned char mask = (unsigned char)(1u << (bit & 7));
    unsigned char *live = region->record + region->bits_at;
    live[bit >> 3] |= mask;
    live[region->bits_bytes + (bit >> 3)] |= mask;
}

RH_INLINE void rh_mark_dead(struct rh_region *region, rh_word payload, unsigned shift) {
    rh_word bit = rh_bit_of(region, payload, shift);
    region->record[region->bits_at + (bit >> 3)] &= (unsigned char)~(1u << (bit & 7));
}

/* RH_OK for the payload of a live block; else what is wrong with the address. */
RH_INLINE enum rh_status rh_live(const struct rh_region *region, rh_word payload, unsigned shift) {
    if (region == NULL || (payload & (((rh_word)1 << shift) - 1)) != 0) return RH_INVALID_FREE;
    rh_word bit = rh_bit_of(region, payload, shift);
    const unsigned char *live = region->record + region->bits_at;
    if (rh_bit(live, bit)) return RH_OK;
    return rh_bit(live + region->bits_bytes, bit) ? RH_DOUBLE_FREE : RH_INVALID_FREE;
}

/* Does the header in the arena equal the one that the heap wrote? */
RH_INLINE bool rh_header_intact(const struct rh_region *region, rh_word block) {
    RH_TRAP(region, block, 2 * RH_WORD_BYTES, false);
    const unsigned char *stored = rh_at(region, block);
    const unsigned char *known = region->record + (rh_word)(block - region->base);
    uint64_t a, b;
    memcpy(&a, stored, sizeof a);
    memcpy(&b, known, sizeof b);
#if RH_WORD_BYTES == 8
    uint64_t c, d;
    memcpy(&c, stored + sizeof a, sizeof c);
    memcpy(&d, known + sizeof b, sizeof d);
    return ((a ^ b) | (c ^ d)) == 0;
#else
    return a == b;
#endif
}

#endif /* RH_HAS_RECORD */

RH_INLINE void rh_put(const struct rh_region *region, rh_word address, rh_word value) {
    rh_store(region, address, value);
#if RH_HAS_RECORD
    rh_shadow_store(region, address, value);
#endif
}

RH_INLINE void rh_put_next(const struct rh_region *region, rh_word block, rh_word link) {
    rh_put(region, block, link);
}

RH_INLINE void rh_put_size(const struct rh_region *region, rh_word block, rh_word size) {
#if RH_HAS_REGIONS
    rh_put(region, block + RH_SIZE_AT, size);
#else
    (void)region;
    RH_TRAP(region, block + RH_SIZE_AT, sizeof(rh_word), true);
    rh_header_at(block)->size = size;
#endif
}

RH_INLINE void rh_put_header(const struct rh_region *region, rh_word block, rh_word link,
                             rh_word size) {
    rh_put_next(region, block, link);
    rh_put_size(region, block, size);
}

/* A word of a header that has been found intact (or that is trusted, below RH_CHECKS 2). */
RH_INLINE rh_word rh_get(const struct rh_region *region, rh_word address) {
#if RH_HAS_RECORD
    return rh_shadow(region, address);
#else
    return rh_load(region, address);
#endif
}

RH_INLINE rh_word rh_next(const struct rh_region *region, rh_word block) {
    return rh_get(region, block);
}

RH_INLINE rh_word rh_size(const struct rh_region *region, rh_word block) {
#if RH_HAS_REGIONS
    return rh_get(region, block + RH_SIZE_AT);
#else
    (void)region;
    RH_TRAP(region, block + RH_SIZE_AT, sizeof(rh_word), false);
    return rh_header_at(block)->size;
#endif
}

/* Opens every reading of a header. At RH_CHECKS 2 it ends the call where the header is not intact,
 * before anything was changed. */
#if RH_HAS_RECORD
#define RH_VISIT(heap, region, block)                                                              \
    do {                                                                                           \
        if (!rh_header_intact((region), (block))) return rh_overwritten(&(heap)->common, (block)); \
    } while (0)

static inline enum rh_status rh_overwritten(struct rh_common *common, rh_word block) {
    common->fault.rule = RH_RULE_OVERWRITTEN;
    common->fault.address = block;
    return RH_CORRUPT;
}
#else
#define RH_VISIT(heap, region, block) ((void)0)
#endif

/* What every set-up begins with. The heap has tested alignment and range. */
#if RH_HAS_REGIONS
RH_INLINE void rh_start_common(struct rh_common *common, struct rh_region *regions, size_t count,
                               const struct rh_options *options) {
    common->regions = regions;
    common->region_count = count;
#if RH_HOSTED
    common->alignment = options->alignment;
    common->header = rh_up(2 * RH_WORD_BYTES, options->alignment);
    common->alignment_shift = rh_log2(options->alignment);
    common->clear_on_free = options->clear_on_free;
#else
    (void)options;
#endif
    common->fault.rule = RH_RULE_NONE;
    common->fault.address = 0;
#if RH_HAS_RECORD
    for (size_t i = 0; i < count; i++)
        rh_record_start(&regions[i], RH_ALIGNMENT_OPTION(options));
#endif
}
#define RH_START_COMMON(heap, regions, count, options)                                             \
    rh_start_common(&(heap)->common, (regions), (count), (options))
#else
#define RH_START_COMMON(heap, regions, count, options) ((void)(options))
#endif

#endif
