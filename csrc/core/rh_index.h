/*
 * An index of the free list of heap_4 and heap_5, outside the arena: it finds the block that first
 * fit finds, and the place where a freed block belongs, in bounded time. The arena's bytes are
 * those that the list alone leaves.
 *
 * The list's first entries, up to RH_INDEX_NEAR, are near: they are walked, and the index knows
 * nothing of them. Of each entry beyond them the index has its place, the number of the alignment
 * step at which its header lies. A bit says that there is an entry; bits over groups of bits that
 * are not empty lead from any place to the entry before it. A tree of the largest sizes, whose
 * leaves are chunks of RH_INDEX_CHUNK bytes, leads to the first chunk with an entry that is large
 * enough.
 */
#ifndef RH_INDEX_H
#define RH_INDEX_H

#include "rh_block.h"
#include "rh_loop.h"

#if RH_INDEX

#if defined(__ARM_FEATURE_SIMD32) || defined(__ARM_FEATURE_SAT)
#include <arm_acle.h>
#endif

/* --- how large --------------------------------------------------- */

#if RH_HOSTED
#define RH_INDEX_STEP RH_WORD_BYTES /* the least alignment */
#else
#define RH_INDEX_STEP RH_ALIGNMENT
#endif
#ifndef RH_INDEX_CHUNK
#define RH_INDEX_CHUNK (16 * RH_INDEX_STEP)
#endif
#define RH_INDEX_CHUNK_PLACES (RH_INDEX_CHUNK / RH_INDEX_STEP)

/* Free blocks do not adjoin, and no block is smaller than a header and an alignment step. */
#define RH_INDEX_CHUNK_ENTRIES (RH_INDEX_CHUNK_PLACES / 4)

/* How many of the list's first entries are walked in place of being indexed. A short list then
 * costs what it costs without an index; with small chunks, for the tightest bound, none. */
#ifndef RH_INDEX_NEAR
#define RH_INDEX_NEAR (RH_INDEX_CHUNK_PLACES > 32 ? RH_INDEX_CHUNK_PLACES / 2 : 0)
#endif

/* A node holds a size in alignment steps: two bytes do, see RH_NODE_MOST, up to so many steps. */
#define RH_INDEX_MOST_STEPS 131072
#ifndef RH_INDEX_WIDE
#define RH_INDEX_WIDE 0
#endif
#if RH_INDEX_WIDE
typedef uint32_t rh_index_node;
#define RH_NODE_MOST 0xFFFFFFFFu
#else
typedef uint16_t rh_index_node;
#define RH_NODE_MOST 0xFFFFu
#endif
/* A leaf holds no more than RH_LEAF_MOST: of larger sizes, that much. No two entries in the chunks
 * of a node are as large as that (the second would begin 257 steps after the first, and they are
 * 256 steps), so that it is known which one is meant, and the node has its size. In the same way a
 * heap of up to 131,072 steps has but one that is RH_NODE_MOST. */
#if RH_INDEX_CHUNK_PLACES == 16
typedef uint8_t rh_index_leaf;
#define RH_LEAF_MOST 0xFFu
#define RH_INDEX_FAN 16u /* leaves of a node */
typedef uint16_t rh_index_group;
#else
typedef rh_index_node rh_index_leaf;
typedef uint32_t rh_index_group;
#define RH_LEAF_MOST RH_NODE_MOST
#define RH_INDEX_FAN 8u
#endif
#define RH_INDEX_GROUP (8 * sizeof(rh_index_group)) /* places, whose bits are together */

#define RH_INDEX_PART(n, of) (((n) + (of)-1) / (of)) /* rounded up */

/* heap_5 has RH_INDEX_REGIONS at most, each of which may begin in a chunk, and have a marker in one
 * of its own. */
#ifdef RH_INDEX_REGIONS
#define RH_INDEX_CHUNKS(size) (RH_INDEX_PART((size), RH_INDEX_CHUNK) + 2 * RH_INDEX_REGIONS)
#else
#define RH_INDEX_REGIONS 1
#define RH_INDEX_CHUNKS(size) RH_INDEX_PART((size), RH_INDEX_CHUNK)
#endif

/* Each level is a fraction of the one below it, rounded up. A level of one word, or of no more
 * nodes than RH_INDEX_TOP, is the last: those above it have no bytes. */
#define RH_INDEX_TOP 32
#define RH_INDEX_EIGHTS(n) (8 * RH_INDEX_PART(n, 8))
#define RH_INDEX_WORDS(n) ((n) <= 1 ? 0 : RH_INDEX_PART(n, 32))
#define RH_INDEX_NODES(n) ((n) <= RH_INDEX_TOP ? 0 : RH_INDEX_EIGHTS((n) / 8))
#define RH_INDEX_GROUPS(size) (RH_INDEX_CHUNKS(size) * (RH_INDEX_CHUNK_PLACES / RH_INDEX_GROUP))
#define RH_INDEX_WORDS_1(size) RH_INDEX_PART(RH_INDEX_GROUPS(size), 32)
#define RH_INDEX_WORDS_2(size) RH_INDEX_WORDS(RH_INDEX_WORDS_1(size))
#define RH_INDEX_WORDS_3(size) RH_INDEX_WORDS(RH_INDEX_WORDS_2(size))
#define RH_INDEX_LEAVES(size) (RH_INDEX_FAN * RH_INDEX_PART(RH_INDEX_CHUNKS(size), RH_INDEX_FAN))
#define RH_INDEX_NODES_1(size) RH_INDEX_EIGHTS(RH_INDEX_LEAVES(size) / RH_INDEX_FAN)
#define RH_INDEX_NODES_2(size) RH_INDEX_NODES(RH_INDEX_NODES_1(size))
#define RH_INDEX_NODES_3(size) RH_INDEX_NODES(RH_INDEX_NODES_2(size))
#define RH_INDEX_NODES_4(size) RH_INDEX_NODES(RH_INDEX_NODES_3(size))
#define RH_INDEX_ALL_WORDS(size)                                                                   \
    (RH_INDEX_WORDS_1(size) + RH_INDEX_WORDS_2(size) + RH_INDEX_WORDS_3(size))
#define RH_INDEX_ALL_NODES(size)                                                                   \
    (RH_INDEX_NODES_1(size) + RH_INDEX_NODES_2(size) + RH_INDEX_NODES_3(size) +                    \
     RH_INDEX_NODES_4(size))

/* Bytes of the index of a heap of `size` bytes, of heap_5 the sum of its regions: a constant
 * expression if `size` is one. */
#define RH_INDEX_BYTES(size)                                                                       \
    (sizeof(struct rh_index_state) + sizeof(rh_index_group) * RH_INDEX_GROUPS(size) +              \
     sizeof(uint32_t) * RH_INDEX_ALL_WORDS(size) +                                                 \
     sizeof(rh_index_node) * RH_INDEX_ALL_NODES(size) +                                            \
     sizeof(rh_index_leaf) * RH_INDEX_LEAVES(size))

/* The levels that there are, and where in their array each begins. */
#define RH_INDEX_WORD_LEVELS                                                                       \
    (1 + (RH_INDEX_WORDS_2(RH_INDEX_SIZE) > 0) + (RH_INDEX_WORDS_3(RH_INDEX_SIZE) > 0))
#define RH_INDEX_TREE_LEVELS                                                                       \
    (1 + (RH_INDEX_NODES_2(RH_INDEX_SIZE) > 0) + (RH_INDEX_NODES_3(RH_INDEX_SIZE) > 0) +           \
     (RH_INDEX_NODES_4(RH_INDEX_SIZE) > 0))
#define RH_INDEX_WORD_2 RH_INDEX_WORDS_1(RH_INDEX_SIZE)
#define RH_INDEX_WORD_3 (RH_INDEX_WORD_2 + RH_INDEX_WORDS_2(RH_INDEX_SIZE))
#define RH_INDEX_TREE_2 RH_INDEX_NODES_1(RH_INDEX_SIZE)
#define RH_INDEX_TREE_3 (RH_INDEX_TREE_2 + RH_INDEX_NODES_2(RH_INDEX_SIZE))
#define RH_INDEX_TREE_4 (RH_INDEX_TREE_3 + RH_INDEX_NODES_3(RH_INDEX_SIZE))

/* --- what it is -------------------------------------------------- */

struct rh_index_region {
    rh_word base;  /* of its first chunk: its last one ends where its blocks do */
    rh_word start; /* of its first block */
    rh_word end;   /* of its last block: the marker, which has a chunk of its own if it is listed */
    uint32_t place; /* the base's */
};

struct rh_index_state {
#if RH_INDEX_NEAR > 0
    rh_word far; /* address of the first entry that is not near: in the index, or the list's end */
    uint32_t near; /* how many entries there are before it */
#endif
    struct rh_index_region regions[RH_INDEX_REGIONS];
    uint32_t region_count; /* more than RH_INDEX_REGIONS: there is no room for them */
};

struct rh_index {
    struct rh_index_state state;
    rh_index_node nodes[RH_INDEX_ALL_NODES(RH_INDEX_SIZE)]; /* largest sizes, in alignment steps */
    rh_index_leaf leaves[RH_INDEX_LEAVES(RH_INDEX_SIZE)];   /* and of each chunk */
    uint32_t words[RH_INDEX_ALL_WORDS(RH_INDEX_SIZE)];      /* which groups are not empty */
    rh_index_group groups[RH_INDEX_GROUPS(RH_INDEX_SIZE)];  /* where there is an entry */
};

#define RH_INDEX_STEPS (RH_INDEX_CHUNKS(RH_INDEX_SIZE) * RH_INDEX_CHUNK_PLACES)
/* That many places, rounded up to a power of two, less one. */
enum {
    RH_INDEX_FILL_1 = (RH_INDEX_STEPS - 1) | (RH_INDEX_STEPS - 1) >> 1,
    RH_INDEX_FILL_2 = RH_INDEX_FILL_1 | RH_INDEX_FILL_1 >> 2,
    RH_INDEX_FILL_4 = RH_INDEX_FILL_2 | RH_INDEX_FILL_2 >> 4,
    RH_INDEX_FILL_8 = RH_INDEX_FILL_4 | RH_INDEX_FILL_4 >> 8,
    RH_INDEX_MASK = RH_INDEX_FILL_8 | RH_INDEX_FILL_8 >> 16
};
RH_STATIC_ASSERT(sizeof(struct rh_index) <= RH_INDEX_BYTES(RH_INDEX_SIZE) + RH_WORD_BYTES - 1,
                 "no other padding");
RH_STATIC_ASSERT(RH_INDEX_CHUNK_PLACES >= 16 &&
                     (RH_INDEX_CHUNK_PLACES & (RH_INDEX_CHUNK_PLACES - 1)) == 0,
                 "RH_INDEX_CHUNK is 16 alignment steps or a larger power of two");
RH_STATIC_ASSERT(RH_INDEX_WORDS_3(RH_INDEX_SIZE) <= 32 &&
                     RH_INDEX_NODES_4(RH_INDEX_SIZE) <= RH_INDEX_TOP,
                 "RH_INDEX_SIZE is more than the index has levels for");
RH_STATIC_ASSERT(RH_INDEX_WIDE || RH_INDEX_SIZE / RH_INDEX_STEP <= RH_INDEX_MOST_STEPS,
                 "RH_INDEX_SIZE needs RH_INDEX_WIDE 1");
/* Can a size be RH_NODE_MOST or more? */
#define RH_NODE_CAPS (!RH_INDEX_WIDE && RH_INDEX_STEPS >= RH_NODE_MOST)

/* --- bits -------------------------------------------------------- */

/* For a processor that cannot count zeros clang would call its run-time library. */
#if defined(__GNUC__) && !(defined(__clang__) && defined(__ARM_ARCH_6M__))
#define RH_HIGHEST(word) (31u - (uint32_t)__builtin_clz(word))
#define RH_LOWEST(word) ((uint32_t)__builtin_ctz(word))
#else
RH_STEP uint32_t rh_highest(uint32_t word) {
    uint32_t n = 0, step = 16;
    RH_WHILE(step != 0, 5) {
        if (word >> step != 0) word >>= step, n += step;
        step >>= 1;
    }
    return n;
}
#define RH_HIGHEST(word) rh_highest(word)
#define RH_LOWEST(word) rh_highest((word) & (0u - (word)))
#endif

#define RH_NOWHERE 0xFFFFFFFFu

/* The highest bit below that one in the word where it is, if there is one: into *bit. */
RH_STEP bool rh_bit_below(const uint32_t *words, uint32_t *bit) {
    const uint32_t lower = words[*bit / 32] << (31 - *bit % 32) << 1;
    if (lower == 0) return false;
    *bit -= 32 - RH_HIGHEST(lower);
    return true;
}

/* The place of the last entry before a group, if there is one. */
RH_STEP bool rh_bit_before_group(const struct rh_index *index, uint32_t group, uint32_t *place) {
    const uint32_t *words = index->words;
    uint32_t above = group / 32, top = above / 32;
    if (!rh_bit_below(words, &group)) {
        if (RH_INDEX_WORD_LEVELS == 1) return false;
        if (!rh_bit_below(&words[RH_INDEX_WORD_2], &above)) {
            if (RH_INDEX_WORD_LEVELS == 2) return false;
            if (!rh_bit_below(&words[RH_INDEX_WORD_3], &top)) {
                if (RH_INDEX_WORDS_3(RH_INDEX_SIZE) <= 1) return false;
                uint32_t last = top / 32; /* the words below this one */
                RH_WHILE(last > 0 && words[RH_INDEX_WORD_3 + last - 1] == 0,
                         RH_INDEX_WORDS_3(RH_INDEX_SIZE) - 1)
                    last--;
                if (last == 0) return false;
                top = (last - 1) * 32 + RH_HIGHEST(words[RH_INDEX_WORD_3 + last - 1]);
            }
            above = top * 32 + RH_HIGHEST(words[RH_INDEX_WORD_2 + top]);
        }
        group = above * 32 + RH_HIGHEST(words[above]);
    }
    *place = group * (uint32_t)RH_INDEX_GROUP + RH_HIGHEST(index->groups[group]);
    return true;
}

/* And before a place. */
RH_STEP bool rh_bit_before(const struct rh_index *index, uint32_t *place) {
    const uint32_t group = *place / RH_INDEX_GROUP, bit = *place % RH_INDEX_GROUP;
    const uint32_t lower = index->groups[group] & (((uint32_t)1 << bit) - 1);
    if (lower == 0) return rh_bit_before_group(index, group, place);
    *place = *place - bit + RH_HIGHEST(lower);
    return true;
}

/* Sets a bit in its word, `only` if there is no other; true if the word was empty. */
RH_STEP bool rh_word_put(uint32_t *words, uint32_t bit, bool only) {
    uint32_t *word = &words[only ? 0 : bit / 32];
    const uint32_t old = *word;
    *word = old | (uint32_t)1 << bit % 32;
    return old == 0;
}

/* Clears one; true if the word is empty then. */
RH_STEP bool rh_word_take(uint32_t *words, uint32_t bit, bool only) {
    uint32_t *word = &words[only ? 0 : bit / 32];
    *word &= ~((uint32_t)1 << bit % 32);
    return *word == 0;
}

#define RH_AT_EACH_WORD(step, words, group)                                                        \
    (void)(step((words), (group), RH_INDEX_WORD_LEVELS == 1) && RH_INDEX_WORD_LEVELS > 1 &&        \
           step((words) + RH_INDEX_WORD_2, (group) / 32, RH_INDEX_WORD_LEVELS == 2) &&             \
           RH_INDEX_WORD_LEVELS > 2 &&                                                             \
           step((words) + RH_INDEX_WORD_3, (group) / 1024, RH_INDEX_WORDS_3(RH_INDEX_SIZE) == 1))

RH_STEP void rh_bit_put(struct rh_index *index, uint32_t place) {
    rh_index_group *group = &index->groups[place / RH_INDEX_GROUP];
    const uint32_t old = *group;
    *group = (rh_index_group)(old | (uint32_t)1 << place % RH_INDEX_GROUP);
    if (old == 0) RH_AT_EACH_WORD(rh_word_put, index->words, place / RH_INDEX_GROUP);
}

/* True if the group is empty then. */
RH_STEP bool rh_bit_take(struct rh_index *index, uint32_t place) {
    rh_index_group *group = &index->groups[place / RH_INDEX_GROUP];
    const uint32_t left = *group & ~((uint32_t)1 << place % RH_INDEX_GROUP);
    *group = (rh_index_group)left;
    if (left != 0) return false;
    RH_AT_EACH_WORD(rh_word_take, index->words, place / RH_INDEX_GROUP);
    return true;
}

/* --- the tree ---------------------------------------------------- */

/* Of the nodes of a level, or the leaves of a node: which is the first that is large enough, or
 * their number, which is a constant multiple of 8 up to RH_INDEX_TOP; and of eight, or sixteen
 * leaves, the largest. */
#if (defined(__ARM_FEATURE_SIMD32) || defined(RH_INDEX_SIMD)) && !RH_INDEX_WIDE
#ifndef RH_INDEX_SIMD
/* a - b in each half, or byte, but not less than 0 */
#define RH_LESS_16(a, b) ((uint32_t)__builtin_arm_uqsub16((a), (b)))
#define RH_LESS_8(a, b) ((uint32_t)__builtin_arm_uqsub8((a), (b)))
#endif
#define RH_MORE_16(a, b) ((b) + RH_LESS_16((a), (b)))
#define RH_MORE_8(a, b) ((b) + RH_LESS_8((a), (b)))

struct rh_two {
    uint32_t one, other;
};

/* gcc would load them one by one. */
#if defined(__GNUC__) && defined(__thumb2__)
#define RH_LOAD_TWO(one, other, at, bytes)                                                         \
    __asm__("ldrd %0, %1, [%2, %3]"                                                                \
            : "=r"(one), "=r"(other)                                                               \
            : "r"(at), "i"(bytes),                                                                 \
              "m"(*(const struct rh_two *)(const void *)((const char *)(at) + (bytes))))
#else
#define RH_LOAD_TWO(one, other, at, bytes)                                                         \
    do {                                                                                           \
        memcpy(&(one), (const char *)(at) + (bytes), 4);                                           \
        memcpy(&(other), (const char *)(at) + (bytes) + 4, 4);                                     \
    } while (0)
#endif

/* Two words at a time: `lanes` of them in a word, and the lane's bits are what it is more. */
#define RH_FIRST_LANE(of, count, less, LESS, lanes)                                                \
    RH_FAST uint32_t at, one, other;                                                               \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 0)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 1)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 2)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 3)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 4)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 5)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 6)                                                  \
    RH_TWO_WORDS(of, count, less, LESS, lanes, 7)                                                  \
    return (count);                                                                                \
    found:                                                                                         \
    if (one == 0) at += (lanes), one = other;                                                      \
    return at + RH_LOWEST(one) / (32 / (lanes))
#define RH_TWO_WORDS(of, count, less, LESS, lanes, turn)                                           \
    if ((turn)*2 * (lanes) < (count)) {                                                            \
        at = (turn)*2 * (lanes);                                                                   \
        RH_LOAD_TWO(one, other, (of), (turn)*8);                                                   \
        one = LESS(one, (less));                                                                   \
        other = LESS(other, (less));                                                               \
        if ((one | other) != 0) goto found;                                                        \
    }

RH_STEP uint32_t rh_first_node(RH_FAST const uint16_t *of, RH_FAST uint32_t count,
                               RH_FAST uint32_t wanted) {
    RH_FAST uint32_t less = (wanted - 1) * 0x00010001u;
    RH_FIRST_LANE(of, count, less, RH_LESS_16, 2);
}

RH_STEP uint32_t rh_largest_node(RH_FAST const uint16_t *of) {
    struct rh_two a, b;
    RH_LOAD_TWO(a.one, a.other, of, 0);
    RH_LOAD_TWO(b.one, b.other, of, 8);
    RH_FAST uint32_t both = RH_MORE_16(RH_MORE_16(a.one, a.other), RH_MORE_16(b.one, b.other));
    both = RH_MORE_16(both, both >> 16);
    return both & 0xFFFF;
}

#if RH_INDEX_CHUNK_PLACES == 16
RH_STEP uint32_t rh_first_leaf(RH_FAST const uint8_t *of, RH_FAST uint32_t wanted) {
    RH_FAST uint32_t less = (wanted - 1) * 0x01010101u;
    RH_FIRST_LANE(of, 16u, less, RH_LESS_8, 4);
}

RH_STEP uint32_t rh_largest_leaf(RH_FAST const uint8_t *of) {
    struct rh_two a, b;
    RH_LOAD_TWO(a.one, a.other, of, 0);
    RH_LOAD_TWO(b.one, b.other, of, 8);
    uint32_t largest = RH_MORE_8(RH_MORE_8(a.one, a.other), RH_MORE_8(b.one, b.other));
    largest = RH_MORE_8(largest, largest >> 16);
    largest = RH_MORE_8(largest, largest >> 8);
    return largest & 0xFF;
}
#endif
#else
#define RH_INDEX_MOST_NODES                                                                        \
    (RH_INDEX_TREE_LEVELS > 1 ? RH_INDEX_TOP : RH_INDEX_NODES_1(RH_INDEX_SIZE))

RH_STEP uint32_t rh_first_node(const rh_index_node *of, uint32_t count, uint32_t wanted) {
    uint32_t at = 0;
    RH_WHILE(at < count && of[at] < wanted, RH_INDEX_MOST_NODES)
        at++;
    return at;
}

RH_STEP uint32_t rh_largest_node(const rh_index_node *of) {
    uint32_t largest = of[0], at = 1;
    RH_WHILE(at < 8, 7) {
        if (of[at] > largest) largest = of[at];
        at++;
    }
    return largest;
}

#if RH_INDEX_CHUNK_PLACES == 16
RH_STEP uint32_t rh_first_leaf(RH_FAST const uint8_t *of, RH_FAST uint32_t wanted) {
    uint32_t at = 0;
    RH_WHILE(of[at] < wanted, 15)
        at++;
    return at;
}

RH_STEP uint32_t rh_largest_leaf(RH_FAST const uint8_t *of) {
    uint32_t largest = of[0], at = 1;
    RH_WHILE(at < 16, 15) {
        if (of[at] > largest) largest = of[at];
        at++;
    }
    return largest;
}
#endif
#endif
#if RH_INDEX_CHUNK_PLACES > 16
#define rh_first_leaf(of, wanted) rh_first_node((of), 8, (wanted))
#define rh_largest_leaf(of) rh_largest_node(of)
#endif

RH_STEP uint32_t rh_at_most(uint32_t steps, uint32_t most) {
    return steps < most ? steps : most;
}
#if defined(__ARM_FEATURE_SAT) && RH_INDEX_CHUNK_PLACES == 16
#define RH_AS_LEAF(steps) ((uint32_t)__usat((int32_t)(steps), 8))
#else
#define RH_AS_LEAF(steps) rh_at_most((steps), RH_LEAF_MOST)
#endif
#define RH_AS_NODE(steps) (RH_NODE_CAPS ? rh_at_most((steps), RH_NODE_MOST) : (steps))

/* The first chunk with an entry that is large enough, or RH_NOWHERE. */
RH_STEP uint32_t rh_tree_find(RH_FAST const struct rh_index *index, RH_FAST uint32_t wanted) {
    const rh_index_node *nodes = index->nodes;
    const rh_index_node *top = nodes + (RH_INDEX_TREE_LEVELS == 1   ? 0
                                        : RH_INDEX_TREE_LEVELS == 2 ? RH_INDEX_TREE_2
                                        : RH_INDEX_TREE_LEVELS == 3 ? RH_INDEX_TREE_3
                                                                    : RH_INDEX_TREE_4);
    const uint32_t count = RH_INDEX_TREE_LEVELS == 1   ? RH_INDEX_NODES_1(RH_INDEX_SIZE)
                           : RH_INDEX_TREE_LEVELS == 2 ? RH_INDEX_NODES_2(RH_INDEX_SIZE)
                           : RH_INDEX_TREE_LEVELS == 3 ? RH_INDEX_NODES_3(RH_INDEX_SIZE)
                                                       : RH_INDEX_NODES_4(RH_INDEX_SIZE);
    wanted = RH_AS_NODE(wanted);
    uint32_t at = rh_first_node(top, count, wanted);
    if (at == count) return RH_NOWHERE;
    if (RH_INDEX_TREE_LEVELS > 3)
        at = at * 8 + rh_first_node(&nodes[RH_INDEX_TREE_3 + at * 8], 8, wanted);
    if (RH_INDEX_TREE_LEVELS > 2)
        at = at * 8 + rh_first_node(&nodes[RH_INDEX_TREE_2 + at * 8], 8, wanted);
    if (RH_INDEX_TREE_LEVELS > 1) at = at * 8 + rh_first_node(&nodes[at * 8], 8, wanted);
    at *= RH_INDEX_FAN;
    return at + rh_first_leaf(&index->leaves[at], RH_AS_LEAF(wanted));
}

/* A size that may be the largest; false where it is not, so that nothing above changes. */
RH_STEP bool rh_raise_node(rh_index_node *node, uint32_t size) {
    if (*node >= size) return false;
    *node = (rh_index_node)size;
    return true;
}

/* Where a leaf may hold less than the size, what is above may change though it does not. */
RH_STEP bool rh_raise_leaf(rh_index_leaf *leaf, uint32_t size) {
    if (RH_LEAF_MOST == RH_NODE_MOST && *leaf >= size) return false;
    const uint32_t capped = RH_AS_LEAF(size);
#if defined(RH_MORE_8) && RH_INDEX_CHUNK_PLACES == 16
    *leaf = (rh_index_leaf)RH_MORE_8(capped, *leaf);
#else
    *leaf = (rh_index_leaf)(*leaf > capped ? *leaf : capped);
#endif
    return true;
}

RH_STEP void rh_tree_raise(struct rh_index *index, uint32_t chunk, uint32_t size) {
    rh_index_node *nodes = index->nodes;
    const uint32_t node = chunk / RH_INDEX_FAN;
    size = RH_AS_NODE(size);
    (void)(rh_raise_leaf(&index->leaves[chunk], size) && rh_raise_node(&nodes[node], size) &&
           RH_INDEX_TREE_LEVELS > 1 && rh_raise_node(&nodes[RH_INDEX_TREE_2 + node / 8], size) &&
           RH_INDEX_TREE_LEVELS > 2 && rh_raise_node(&nodes[RH_INDEX_TREE_3 + node / 64], size) &&
           RH_INDEX_TREE_LEVELS > 3 && rh_raise_node(&nodes[RH_INDEX_TREE_4 + node / 512], size));
}

/* An entry of `old` steps is gone: a node whose largest it was has another; false where it was not,
 * or another is as large, so that nothing above changes. */
RH_STEP bool rh_lower_node(rh_index_node *node, uint32_t old, uint32_t largest) {
    if (RH_INDEX_TREE_LEVELS > 1 && largest == old) return false;
    *node = (rh_index_node)largest;
    return true;
}
#define RH_LOWER_NODE(nodes, at, below, old)                                                       \
    ((nodes)[at] == (old) &&                                                                       \
     rh_lower_node(&(nodes)[at], (old), rh_largest_node(&(nodes)[(below) & ~(uint32_t)7])))

/* The largest entry of a chunk was `old` steps and is gone; the largest now is `size`. */
RH_STEP void rh_tree_lower(struct rh_index *index, uint32_t chunk, uint32_t old, uint32_t size) {
    rh_index_node *nodes = index->nodes;
    const uint32_t node = chunk / RH_INDEX_FAN;
    index->leaves[chunk] = (rh_index_leaf)RH_AS_LEAF(size);
    old = RH_AS_NODE(old);
    size = RH_AS_NODE(size);
    if (nodes[node] != old) return;
    if (size < RH_LEAF_MOST || RH_LEAF_MOST == RH_NODE_MOST)
        size = rh_largest_leaf(&index->leaves[node * RH_INDEX_FAN]);
    (void)(rh_lower_node(&nodes[node], old, size) && RH_INDEX_TREE_LEVELS > 1 &&
           RH_LOWER_NODE(nodes, RH_INDEX_TREE_2 + node / 8, node, old) &&
           RH_INDEX_TREE_LEVELS > 2 &&
           RH_LOWER_NODE(nodes, RH_INDEX_TREE_3 + node / 64, RH_INDEX_TREE_2 + node / 8, old) &&
           RH_INDEX_TREE_LEVELS > 3 &&
           RH_LOWER_NODE(nodes, RH_INDEX_TREE_4 + node / 512, RH_INDEX_TREE_3 + node / 64, old));
}

#endif
#endif
