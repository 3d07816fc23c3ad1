/*
 * Which bytes of a region a heap manages, and how large its blocks are: the arithmetic that differs
 * from heap to heap, and that a version of the kernel may change.
 */
#ifndef RH_LAYOUT_H
#define RH_LAYOUT_H

#include "rh_heap.h"

/* What every call computes is a macro: see RH_STEP. */
#define rh_down(n, alignment) ((rh_word)((n) & ~(rh_word)((alignment)-1)))
#define rh_up(n, alignment) rh_down((n) + ((alignment)-1), alignment)

RH_INLINE bool rh_alignment_exists(rh_word alignment) {
    return alignment >= RH_WORD_BYTES && alignment <= 32 && (alignment & (alignment - 1)) == 0;
}

/* Does the region lie below the top of the address space, with a size that leaves the top bit? */
RH_INLINE bool rh_in_range(rh_word base, rh_word size) {
    return size < RH_TOP_BIT && (size == 0 || base + (size - 1) >= base);
}

/* --- blocks ------------------------------------------------------------------------------------
 */

/* Bytes of a header: two words, rounded up so that a payload is aligned. */
RH_INLINE rh_word rh_header_bytes(rh_word alignment) {
    return rh_up(2 * RH_WORD_BYTES, alignment);
}

/* What is added to a request, so that it is its block's size once it is rounded down. `pads`:
 * RH_OLD_PAD. */
#define rh_block_adds(header, alignment, pads) ((header) + (alignment) - ((pads) ? 0 : 1))

/* Is a block of `found` bytes split when `wanted` are asked for? A rest of at most two headers
 * stays in the block. */
#define rh_splits(found, wanted, header) ((found) - (wanted) > 2 * (header))

/* The least that a split leaves. */
RH_INLINE rh_word rh_least_rest(rh_word header, rh_word alignment) {
    return 2 * header + alignment;
}

RH_INLINE bool rh_size_possible(rh_word size, rh_word header, rh_word room) {
    return size >= header && size <= room;
}

/* --- regions -----------------------------------------------------------------------------------
 */

/* Where a region's blocks lie: [start, end). */
struct rh_range {
    rh_word start;
    rh_word end;
};

/* heap_1 and heap_2: what alignment can cost is taken off, whether the base is aligned or not.
 * `late`: RH_OLD_START. */
RH_INLINE struct rh_range rh2_range(const struct rh_region *region, rh_word alignment, bool late) {
    const rh_word start =
        late ? rh_down(region->base + alignment, alignment) : rh_up(region->base, alignment);
    const struct rh_range range = {start, start + (region->size - alignment)};
    return range;
}

/* heap_4 and heap_5: the end marker lies at the end. */
RH_INLINE struct rh_range rh_ff_range(const struct rh_region *region, rh_word alignment,
                                      rh_word header) {
    const struct rh_range range = {rh_up(region->base, alignment),
                                   rh_down(region->base + (region->size - header), alignment)};
    return range;
}

/* What no heap can take, wherever it is and however large it must be. */
RH_INLINE enum rh_status rh_test_addresses(const struct rh_region *region) {
    if (!rh_in_range(region->base, region->size)) return RH_OUT_OF_RANGE;
    if (region->base == 0) return RH_AT_ZERO;
    return RH_OK;
}

/* heap_1 takes a region in which nothing fits, heap_2 only one with room for a smallest block. */
RH_INLINE enum rh_status rh1_test_region(const struct rh_region *region, rh_word alignment) {
    const enum rh_status status = rh_test_addresses(region);
    if (status != RH_OK) return status;
    return region->size < alignment ? RH_TOO_SMALL : RH_OK;
}

RH_INLINE enum rh_status rh2_test_region(const struct rh_region *region, rh_word alignment) {
    const enum rh_status status = rh_test_addresses(region);
    if (status != RH_OK) return status;
    return region->size < alignment + rh_header_bytes(alignment) ? RH_TOO_SMALL : RH_OK;
}

/* Is there room for a smallest block and the end marker? */
RH_INLINE enum rh_status rh4_test_region(const struct rh_region *region, rh_word alignment,
                                         rh_word header) {
    const enum rh_status status = rh_test_addresses(region);
    if (status != RH_OK) return status;
    const rh_word lost = rh_up(region->base, alignment) - region->base;
    return region->size < lost + 2 * header ? RH_TOO_SMALL : RH_OK;
}

/* Is the region one that heap_5 can take? FreeRTOS asserts the order of starts and end markers; in
 * a region smaller than its loss by alignment or than a header it would write outside. `taken` is
 * the last byte of the region before (0: none). */
RH_INLINE enum rh_status rh5_test_region(const struct rh_region *region, rh_word taken, bool last,
                                         rh_word alignment, rh_word header) {
    const enum rh_status status = rh_test_addresses(region);
    if (status != RH_OK) return status;
    if (region->base <= taken) return RH_NOT_ASCENDING;
    const rh_word lost = rh_up(region->base, alignment) - region->base;
    if (region->size < lost + header) return RH_TOO_SMALL;
    const struct rh_range range = rh_ff_range(region, alignment, header);
    const rh_word usable = range.end - range.start;
    /* No block at all is well where other regions follow; less than a header is never. */
    if (usable < header && (usable != 0 || last)) return RH_TOO_SMALL;
    return RH_OK;
}

#endif
