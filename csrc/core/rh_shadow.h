/*
 * The shadow: what RH_CHECKS 2 keeps of a region outside the arena.
 *
 * It has each header that the heap wrote, at the same offset as in the arena, and two bits for each
 * multiple of the alignment: a live payload starts here, and one ever did. No stray write reaches
 * it. A header is compared with its shadow each time it is read, and the shadow's value is the one
 * used: so nothing in the arena can mislead a heap, whenever it changes, and an overwritten header
 * is found by the first call that meets it.
 */
#ifndef RH_SHADOW_H
#define RH_SHADOW_H

#include "rh_arena.h"

#if RH_HAS_SHADOW

RH_INLINE rh_word rh_shadow_bits(rh_word size, rh_word alignment) {
    return (size / alignment + 1) / 8 + 1; /* an unaligned base costs one bit more */
}

/* Bytes of the shadow of a region. */
RH_INLINE size_t rh_shadow_bytes(rh_word size, rh_word alignment) {
    return (size_t)size + 2 * (size_t)rh_shadow_bits(size, alignment);
}

/* Writes nothing: the caller's zeroed pages stay untouched until a header is kept there. */
RH_INLINE void rh_shadow_start(struct rh_region *region, rh_word alignment) {
    region->bits_at = region->size;
    region->bits_bytes = rh_shadow_bits(region->size, alignment);
}

/* What the shadow has of the bytes from an address on. */
RH_INLINE unsigned char *rh_known(const struct rh_region *region, rh_word address) {
    return rh_in(region->shadow, region, address);
}

RH_INLINE rh_word rh_shadow_load_at(const struct rh_region *region, rh_word address, rh_word at) {
    rh_word value;
    memcpy(&value, rh_known(region, address) + at, sizeof value);
    return value;
}

RH_INLINE rh_word rh_shadow_load(const struct rh_region *region, rh_word address) {
    return rh_shadow_load_at(region, address, 0);
}

RH_INLINE void rh_shadow_store_at(const struct rh_region *region, rh_word address, rh_word at,
                                  rh_word value) {
    memcpy(rh_known(region, address) + at, &value, sizeof value);
}

/* Which bit is a payload's? Payloads are aligned, the region's base need not be. */
RH_INLINE rh_word rh_bit_of(const struct rh_region *region, rh_word payload, unsigned shift) {
    return (payload >> shift) - (region->base >> shift);
}

RH_INLINE bool rh_bit(const unsigned char *bits, rh_word bit) {
    return (bits[bit >> 3] >> (bit & 7) & 1) != 0;
}

RH_INLINE void rh_mark_live(const struct rh_region *region, rh_word payload, unsigned shift) {
    rh_word bit = rh_bit_of(region, payload, shift);
    unsigned char mask = (unsigned char)(1u << (bit & 7));
    unsigned char *live = region->shadow + region->bits_at;
    live[bit >> 3] |= mask;
    live[region->bits_bytes + (bit >> 3)] |= mask;
}

RH_INLINE void rh_mark_dead(const struct rh_region *region, rh_word payload, unsigned shift) {
    rh_word bit = rh_bit_of(region, payload, shift);
    region->shadow[region->bits_at + (bit >> 3)] &= (unsigned char)~(1u << (bit & 7));
}

/* RH_OK for the payload of a live block; else what is wrong with the address. */
RH_INLINE enum rh_status rh_live(const struct rh_region *region, rh_word payload, unsigned shift) {
    if (region == NULL || payload >> shift << shift != payload) return RH_INVALID_FREE;
    rh_word bit = rh_bit_of(region, payload, shift);
    const unsigned char *live = region->shadow + region->bits_at;
    if (rh_bit(live, bit)) return RH_OK;
    return rh_bit(live + region->bits_bytes, bit) ? RH_DOUBLE_FREE : RH_INVALID_FREE;
}

/* Does the header in the arena equal the one that the heap wrote? */
RH_INLINE bool rh_header_intact(const struct rh_region *region, rh_word block) {
    RH_TRAP(region, block, 2 * RH_WORD_BYTES, false);
    const unsigned char *stored = rh_at(region, block);
    const unsigned char *known = rh_known(region, block);
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

#define RH_MARK_LIVE(heap, region, payload) rh_mark_live((region), (payload), RH_SHIFT_OF(heap))
#define RH_MARK_DEAD(heap, region, payload) rh_mark_dead((region), (payload), RH_SHIFT_OF(heap))
#else
#define RH_MARK_LIVE(heap, region, payload) ((void)0)
#define RH_MARK_DEAD(heap, region, payload) ((void)0)
#endif

#endif
