/*
 * A block's header: its two words, written and read, and what opens every reading.
 */
#ifndef RH_BLOCK_H
#define RH_BLOCK_H

#include "rh_layout.h"
#include "rh_shadow.h"

#if RH_HAS_REGIONS || defined(__OPTIMIZE__)
RH_INLINE void rh_put_at(const struct rh_region *region, rh_word address, rh_word at,
                         rh_word value) {
    rh_store_at(region, address, at, value);
#if RH_HAS_SHADOW
    rh_shadow_store_at(region, address, at, value);
#endif
}

RH_INLINE void rh_put(const struct rh_region *region, rh_word address, rh_word value) {
    rh_put_at(region, address, 0, value);
}

RH_INLINE void rh_put_next(const struct rh_region *region, rh_word block, rh_word link) {
    rh_put(region, block, link);
}

RH_INLINE void rh_put_size(const struct rh_region *region, rh_word block, rh_word size) {
#if RH_HAS_REGIONS
    rh_put_at(region, block, RH_SIZE_AT, size);
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
RH_INLINE rh_word rh_get_at(const struct rh_region *region, rh_word address, rh_word at) {
#if RH_HAS_SHADOW
    return rh_shadow_load_at(region, address, at);
#else
    return rh_load_at(region, address, at);
#endif
}

RH_INLINE rh_word rh_get(const struct rh_region *region, rh_word address) {
    return rh_get_at(region, address, 0);
}

RH_INLINE rh_word rh_next(const struct rh_region *region, rh_word block) {
    return rh_get(region, block);
}

RH_INLINE rh_word rh_size(const struct rh_region *region, rh_word block) {
#if RH_HAS_REGIONS
    return rh_get_at(region, block, RH_SIZE_AT);
#else
    (void)region;
    RH_TRAP(region, block + RH_SIZE_AT, sizeof(rh_word), false);
    return rh_header_at(block)->size;
#endif
}
#else
/* Macros, as every call reads and writes headers: see RH_STEP. */
#define RH_TRAPPED(region, address, writes)                                                        \
    ((void)(region), RH_TRAP(region, address, sizeof(rh_word), writes))
#define rh_put_next(region, block, link)                                                           \
    (RH_TRAPPED(region, block, true), (void)(*(rh_word *)(uintptr_t)(block) = (link)))
#define rh_put_size(region, block, bytes)                                                          \
    (RH_TRAPPED(region, (block) + RH_SIZE_AT, true),                                               \
     (void)(((struct rh_header *)(uintptr_t)(block))->size = (bytes)))
#define rh_put_header(region, block, link, bytes)                                                  \
    (rh_put_next(region, block, link), rh_put_size(region, block, bytes))
#define rh_next(region, block)                                                                     \
    (RH_TRAPPED(region, block, false), *(const rh_word *)(uintptr_t)(block))
#define rh_size(region, block)                                                                     \
    (RH_TRAPPED(region, (block) + RH_SIZE_AT, false),                                              \
     ((struct rh_header *)(uintptr_t)(block))->size)
#endif

/* Clears a block's payload. A size that is none, where nothing is checked, clears nothing. */
RH_STEP void rh_clear(RH_FAST const struct rh_region *region, RH_FAST rh_word block,
                      RH_FAST rh_word size, RH_FAST rh_word header) {
    if (size > header) rh_zero(region, block + header, size - header);
}

/* Opens every reading of a header. At RH_CHECKS 2 it ends the call where the header is not intact,
 * before anything was changed. */
#if RH_HAS_SHADOW
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
    common->header = rh_header_bytes(options->alignment);
    common->alignment_shift = rh_log2(options->alignment);
    common->clear_on_free = options->clear_on_free;
    common->old = options->old;
    common->added =
        rh_block_adds(common->header, options->alignment, (options->old & RH_OLD_PAD) != 0);
#else
    (void)options;
#endif
#if RH_RANKED
    common->rank = NULL;
#endif
    common->fault.rule = RH_RULE_NONE;
    common->fault.address = 0;
#if RH_HAS_SHADOW
    for (size_t i = 0; i < count; i++)
        rh_shadow_start(&regions[i], RH_ALIGNMENT_OPTION(options));
#endif
}
#define RH_START_COMMON(heap, regions, count, options)                                             \
    rh_start_common(&(heap)->common, (regions), (count), (options))
#else
#define RH_START_COMMON(heap, regions, count, options) ((void)(options))
#endif

#endif
