/*
 * Blocks by size, the newest first among equals: heap_2's free list without its links. A block is a
 * number; a tree of 64 branches a level leads to those of each size.
 */
#ifndef RH_BY_SIZE_H
#define RH_BY_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RH_NO_BLOCK UINT32_MAX
#define RH_NO_SIZE UINT64_MAX

struct rh_by_size_node {
    uint64_t filled;    /* which branches lead to a block */
    uint32_t child[64]; /* nodes, 0: none yet; on the last level a size's newest block */
};

struct rh_by_size_block {
    uint64_t size;
    uint32_t older; /* of the same size */
    uint32_t stamp; /* when it was given back */
};

struct rh_by_size {
    struct rh_by_size_node *nodes;
    size_t node_count, node_room;
    struct rh_by_size_block *blocks; /* all, listed or not */
    size_t block_count, block_room;
    unsigned levels;
};

/* An empty list of blocks of up to `largest`. False: no memory; then, too, end() is to be called.
 */
bool rh_by_size_begin(struct rh_by_size *list, uint64_t largest);
void rh_by_size_end(struct rh_by_size *list);
/* No block is left. */
void rh_by_size_clear(struct rh_by_size *list);

/* How large a copy is. */
size_t rh_by_size_bytes(const struct rh_by_size *list);
/* A list of its own that is the same; false: no memory, then it is empty. */
bool rh_by_size_copy(struct rh_by_size *copy, const struct rh_by_size *list);
/* Makes the list what it was when it was copied: it has room for that. */
void rh_by_size_restore(struct rh_by_size *list, const struct rh_by_size *copy);

/* A block's number, listed nowhere; RH_NO_BLOCK without memory. */
uint32_t rh_by_size_new(struct rh_by_size *list, uint64_t size);

/* Lists a block. False: no memory. */
bool rh_by_size_push(struct rh_by_size *list, uint32_t block);
/* Takes out the newest block of a size. */
void rh_by_size_pop(struct rh_by_size *list, uint64_t size);
/* Are there more than `count` blocks of the size whose newest is `block`? */
bool rh_by_size_more_than(const struct rh_by_size *list, uint32_t block, int64_t count);
/* The newest of the smallest blocks of at least `size`, which is no more than `largest`, or
 * RH_NO_BLOCK. */
uint32_t rh_by_size_find(const struct rh_by_size *list, uint64_t size);

#endif
