#include "by_size.h"

#include "runs.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 6, MOST_LEVELS = 11 };

static unsigned branch(uint64_t size, unsigned level) {
    return (unsigned)(size >> (BITS * level)) & 63;
}

static unsigned first_of(uint64_t bits) {
#if defined(__GNUC__)
    return (unsigned)__builtin_ctzll(bits);
#else
    unsigned at = 0;
    while ((bits >> at & 1) == 0)
        at++;
    return at;
#endif
}

/* 0 without memory: the root, which is no child. */
static uint32_t new_node(struct rh_by_size *list) {
    void *grown = rh_grown(list->nodes, list->node_count, &list->node_room, sizeof *list->nodes);
    if (grown == NULL) return 0;
    list->nodes = grown;
    memset(&list->nodes[list->node_count], 0, sizeof *list->nodes);
    return (uint32_t)list->node_count++;
}

bool rh_by_size_begin(struct rh_by_size *list, uint64_t largest) {
    memset(list, 0, sizeof *list);
    list->levels = 1;
    while (list->levels < MOST_LEVELS && largest >> (BITS * list->levels) != 0)
        list->levels++;
    new_node(list);
    return list->node_count == 1;
}

void rh_by_size_end(struct rh_by_size *list) {
    free(list->nodes);
    free(list->blocks);
}

void rh_by_size_clear(struct rh_by_size *list) {
    list->node_count = list->block_count = 0;
    new_node(list); /* there is room for it */
}

static void copy_items(struct rh_by_size *to, const struct rh_by_size *from) {
    memcpy(to->nodes, from->nodes, from->node_count * sizeof *from->nodes);
    if (from->block_count != 0)
        memcpy(to->blocks, from->blocks, from->block_count * sizeof *from->blocks);
    to->node_count = from->node_count;
    to->block_count = from->block_count;
}

size_t rh_by_size_bytes(const struct rh_by_size *list) {
    return list->node_count * sizeof *list->nodes + list->block_count * sizeof *list->blocks;
}

bool rh_by_size_copy(struct rh_by_size *copy, const struct rh_by_size *list) {
    const struct rh_by_size empty = {.levels = list->levels};
    *copy = empty;
    copy->nodes = malloc(list->node_count * sizeof *list->nodes);
    copy->blocks = malloc((list->block_count + 1) * sizeof *list->blocks);
    const bool made = copy->nodes != NULL && copy->blocks != NULL;
    if (made) copy_items(copy, list);
    return made;
}

void rh_by_size_restore(struct rh_by_size *list, const struct rh_by_size *copy) {
    copy_items(list, copy);
}

uint32_t rh_by_size_new(struct rh_by_size *list, uint64_t size) {
    void *grown =
        rh_grown(list->blocks, list->block_count, &list->block_room, sizeof *list->blocks);
    if (grown == NULL || list->block_count >= RH_NO_BLOCK - 1) return RH_NO_BLOCK;
    list->blocks = grown;
    const struct rh_by_size_block block = {size, RH_NO_BLOCK, 0};
    list->blocks[list->block_count] = block;
    return (uint32_t)list->block_count++;
}

bool rh_by_size_push(struct rh_by_size *list, uint32_t block) {
    const uint64_t size = list->blocks[block].size;
    uint32_t node = 0;
    for (unsigned level = list->levels - 1; level > 0; level--) {
        const unsigned to = branch(size, level);
        uint32_t child = list->nodes[node].child[to];
        if (child == 0) {
            child = new_node(list);
            if (child == 0) return false;
            list->nodes[node].child[to] = child;
        }
        list->nodes[node].filled |= UINT64_C(1) << to;
        node = child;
    }
    struct rh_by_size_node *last = &list->nodes[node];
    const unsigned to = branch(size, 0);
    list->blocks[block].older = (last->filled >> to & 1) != 0 ? last->child[to] : RH_NO_BLOCK;
    last->child[to] = block;
    last->filled |= UINT64_C(1) << to;
    return true;
}

void rh_by_size_pop(struct rh_by_size *list, uint64_t size) {
    uint32_t path[MOST_LEVELS], node = 0;
    for (unsigned level = list->levels - 1; level > 0; level--) {
        path[level] = node;
        node = list->nodes[node].child[branch(size, level)];
    }
    struct rh_by_size_node *last = &list->nodes[node];
    const uint32_t older = list->blocks[last->child[branch(size, 0)]].older;
    if (older != RH_NO_BLOCK) {
        last->child[branch(size, 0)] = older;
        return;
    }
    for (unsigned level = 0;;) {
        list->nodes[node].filled &= ~(UINT64_C(1) << branch(size, level));
        if (list->nodes[node].filled != 0 || ++level == list->levels) return;
        node = path[level];
    }
}

bool rh_by_size_more_than(const struct rh_by_size *list, uint32_t block, int64_t count) {
    for (; block != RH_NO_BLOCK && count > 0; count--)
        block = list->blocks[block].older;
    return block != RH_NO_BLOCK;
}

uint32_t rh_by_size_find(const struct rh_by_size *list, uint64_t size) {
    uint32_t node = 0, beside = 0; /* beside: where all is larger, on the level below `turn` */
    unsigned turn = 0, level = list->levels - 1;
    for (;; level--) {
        const struct rh_by_size_node *at = &list->nodes[node];
        const unsigned to = branch(size, level);
        const uint64_t larger = at->filled & (UINT64_MAX << to << 1);
        const bool exact = (at->filled >> to & 1) != 0;
        if (level == 0) {
            if (exact) return at->child[to];
            if (larger != 0) return at->child[first_of(larger)];
            break;
        }
        if (larger != 0) {
            beside = at->child[first_of(larger)];
            turn = level;
        }
        if (!exact) break;
        node = at->child[to];
    }
    if (turn == 0) return RH_NO_BLOCK;
    for (node = beside; --turn > 0;)
        node = list->nodes[node].child[first_of(list->nodes[node].filled)];
    return list->nodes[node].child[first_of(list->nodes[node].filled)];
}
