/*
 * Places in a row, some of which have an entry: the next entry to either side, how many lie before
 * one, and the first that is large enough. A part of word_size.h.
 *
 * 64 places are a chunk, with a bit for each; over the bits of places stand bits that say where
 * there are any, and over the chunks a tree that knows the largest entry, and how many there are.
 */
#include <stdlib.h>

/* The root is node 1, and node n's children are those from n * RANK_FAN on. */
#define RANK_FAN_BITS 3
#define RANK_FAN (1u << RANK_FAN_BITS)
#if defined(__GNUC__)
#define RANK_UNROLL _Pragma("GCC unroll 8")
#else
#define RANK_UNROLL
#endif
#define RANK_BIT_LEVELS 6 /* of 2^32 places at most */
#define RANK_NOWHERE UINT32_MAX
/* The list's head has a place before all, in a chunk of its own, and counts as no entry. */
#define RANK_HEAD 0u
#define RANK_FIRST 64u

struct rank_node {
    uint32_t largest; /* in steps of the alignment; not used by heap_2 */
    uint32_t count;
};

/* heap_2: the entries of one size. The list has them from the newest to the oldest. */
struct rank_class {
    rh_word oldest;
    uint32_t count;
};

/* Those of a chunk's places. */
struct rank_classes {
    struct rank_classes *next; /* of all that there are */
    struct rank_class of[64];
};

struct rh_rank {
    rh_word origin; /* the address of the first region's first place */
    unsigned shift;
    rh_word size_at; /* offset of an entry's size in its header */
    uint32_t chunks;
    uint32_t leaves; /* the node of the first chunk */
    struct rank_node *nodes;
    unsigned bit_levels;
    uint64_t *bits[RANK_BIT_LEVELS];
    uint32_t *places;              /* by region: that of its first address */
    bool failed;                   /* heap_2: there was no memory for a class */
    struct rank_classes **classes; /* heap_2: by chunk; NULL where it had no entry yet */
    struct rank_classes *all_classes;
};

/* --- bits --------------------------------------------------------------------------------------
 */

#if defined(__GNUC__)
#define RANK_LOWEST(word) ((unsigned)__builtin_ctzll(word))
#define RANK_HIGHEST(word) (63u ^ (unsigned)__builtin_clzll(word))
#else
RH_INLINE unsigned rank_highest(uint64_t word) {
    unsigned n = 0;
    for (unsigned step = 32; step != 0; step /= 2)
        if (word >> step != 0) word >>= step, n += step;
    return n;
}
#define RANK_LOWEST(word) rank_highest((word) & (0 - (word)))
#define RANK_HIGHEST(word) rank_highest(word)
#endif

/* How many bits are set. */
RH_INLINE uint32_t rank_ones(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)((word * 0x0101010101010101u) >> 56);
}

RH_INLINE bool rank_has(const struct rh_rank *rank, uint32_t place) {
    return (rank->bits[0][place / 64] >> place % 64 & 1) != 0;
}

/* Of a chunk, whether there is any. */
RH_SHARED void rank_mark_chunk(struct rh_rank *rank, uint32_t at) {
    for (unsigned level = 1; level < rank->bit_levels; level++, at /= 64) {
        uint64_t *word = &rank->bits[level][at / 64];
        const uint64_t old = *word;
        *word = old | (uint64_t)1 << at % 64;
        if (old != 0) return;
    }
}

RH_SHARED void rank_unmark_chunk(struct rh_rank *rank, uint32_t at) {
    for (unsigned level = 1; level < rank->bit_levels; level++, at /= 64) {
        uint64_t *word = &rank->bits[level][at / 64];
        *word &= ~((uint64_t)1 << at % 64);
        if (*word != 0) return;
    }
}

RH_INLINE void rank_mark(struct rh_rank *rank, uint32_t at) {
    uint64_t *word = &rank->bits[0][at / 64];
    const uint64_t old = *word;
    *word = old | (uint64_t)1 << at % 64;
    if (old == 0) rank_mark_chunk(rank, at / 64);
}

RH_INLINE void rank_unmark(struct rh_rank *rank, uint32_t at) {
    uint64_t *word = &rank->bits[0][at / 64];
    const uint64_t left = *word & ~((uint64_t)1 << at % 64);
    *word = left;
    if (left == 0) rank_unmark_chunk(rank, at / 64);
}

/* The last chunk before one that has an entry, where its word of bits has none. */
RH_SHARED uint32_t rank_chunk_before(const struct rh_rank *rank, uint32_t at) {
    unsigned level = 1;
    uint64_t word;
    do {
        at /= 64;
        level++;
        word = rank->bits[level][at / 64] & (((uint64_t)1 << at % 64) - 1);
    } while (word == 0);
    at = (at & ~63u) + RANK_HIGHEST(word);
    while (--level > 0)
        at = at * 64 + RANK_HIGHEST(rank->bits[level][at]);
    return at;
}

/* The last place before one that has an entry, or RANK_HEAD. There are two levels at least. */
RH_INLINE uint32_t rank_place_before(const struct rh_rank *rank, uint32_t at) {
    const uint64_t *words = rank->bits[0];
    uint32_t chunk = at / 64;
    uint64_t word = words[chunk] & (((uint64_t)1 << at % 64) - 1);
    if (word == 0) {
        word = rank->bits[1][chunk / 64] & (((uint64_t)1 << chunk % 64) - 1);
        chunk = word != 0 ? (chunk & ~63u) + RANK_HIGHEST(word) : rank_chunk_before(rank, chunk);
        word = words[chunk];
    }
    return chunk * 64 + RANK_HIGHEST(word);
}

/* The first place from one on that has an entry, or RANK_NOWHERE. */
RH_INLINE uint32_t rank_place_from(const struct rh_rank *rank, uint32_t at) {
    uint64_t word = rank->bits[0][at / 64] & ~(uint64_t)0 << at % 64;
    unsigned level = 0;
    while (word == 0) {
        if (++level == rank->bit_levels) return RANK_NOWHERE;
        at /= 64;
        word = rank->bits[level][at / 64] & ~(uint64_t)0 << at % 64 << 1;
    }
    at = (at & ~63u) + RANK_LOWEST(word);
    while (level-- > 0)
        at = at * 64 + RANK_LOWEST(rank->bits[level][at]);
    return at;
}

/* --- the tree ----------------------------------------------------------------------------------
 */

/* Of all children, of which this is the first. */
RH_INLINE uint32_t rank_largest(const struct rank_node *child) {
    uint32_t largest = child->largest;
    RANK_UNROLL
    for (unsigned i = 1; i < RANK_FAN; i++)
        largest = child[i].largest > largest ? child[i].largest : largest;
    return largest;
}

/* The largest entry of a chunk is now that. */
RH_INLINE void rank_set(struct rh_rank *rank, uint32_t chunk, uint32_t largest) {
    struct rank_node *nodes = rank->nodes;
    uint32_t at = rank->leaves + chunk;
    uint32_t old = nodes[at].largest;
    nodes[at].largest = largest;
    if (largest > old) {
        while (nodes[at >>= RANK_FAN_BITS].largest < largest)
            nodes[at].largest = largest;
        return;
    }
    while (nodes[at >>= RANK_FAN_BITS].largest == old) {
        largest = rank_largest(&nodes[at << RANK_FAN_BITS]);
        if (largest == old) return;
        nodes[at].largest = largest;
    }
}

/* A chunk has so many entries more. */
RH_INLINE void rank_add(struct rh_rank *rank, uint32_t chunk, uint32_t more) {
    for (uint32_t at = rank->leaves + chunk; at != 0; at >>= RANK_FAN_BITS)
        rank->nodes[at].count += more;
}

/* An entry of a chunk is now one of another. */
RH_INLINE void rank_pass(struct rh_rank *rank, uint32_t from, uint32_t to) {
    from += rank->leaves;
    to += rank->leaves;
    for (; from != to; from >>= RANK_FAN_BITS, to >>= RANK_FAN_BITS) {
        rank->nodes[from].count--;
        rank->nodes[to].count++;
    }
}

/* The first chunk with an entry of so many steps; *before: how many entries lie before it. */
RH_INLINE uint32_t rank_first_fit(const struct rh_rank *rank, uint32_t wanted, rh_word *before) {
    const struct rank_node *nodes = rank->nodes;
    uint32_t at = 1, passed = 0;
    if (nodes[1].largest < wanted) return RANK_NOWHERE;
    while (at < rank->leaves) {
        const struct rank_node *node = &nodes[at << RANK_FAN_BITS];
        for (; node->largest < wanted; node++)
            passed += node->count;
        at = (uint32_t)(node - nodes);
    }
    *before = passed;
    return at - rank->leaves;
}

/* The first chunk from one on with an entry of so many steps, or RANK_NOWHERE. */
RH_INLINE uint32_t rank_fit_from(const struct rh_rank *rank, uint32_t chunk, uint32_t wanted) {
    const struct rank_node *nodes = rank->nodes;
    uint32_t at = rank->leaves + chunk;
    for (; nodes[at].largest < wanted; at++) {
        while (at % RANK_FAN == RANK_FAN - 1)
            at >>= RANK_FAN_BITS;
        if (at == 1) return RANK_NOWHERE;
    }
    while (at < rank->leaves)
        for (at <<= RANK_FAN_BITS; nodes[at].largest < wanted;)
            at++;
    return at - rank->leaves;
}

/* How many entries the chunks before one have. */
RH_INLINE uint32_t rank_entries_before(const struct rh_rank *rank, uint32_t chunk) {
    uint32_t count = 0;
    for (uint32_t at = rank->leaves + chunk; at != 1; at >>= RANK_FAN_BITS) {
        const struct rank_node *first = &rank->nodes[at - at % RANK_FAN];
        switch (at % RANK_FAN) {
        case 7: count += first[6].count; /* fall through */
        case 6: count += first[5].count; /* fall through */
        case 5: count += first[4].count; /* fall through */
        case 4: count += first[3].count; /* fall through */
        case 3: count += first[2].count; /* fall through */
        case 2: count += first[1].count; /* fall through */
        case 1: count += first[0].count; /* fall through */
        default: break;
        }
    }
    return count;
}

/* A place after all entries. */
RH_INLINE uint32_t rank_end(const struct rh_rank *rank) {
    return rank->chunks * 64 - 1;
}

/* --- from the beginning to the end -------------------------------------------------------------
 */

RH_INLINE size_t rank_aligned(size_t bytes) {
    return (bytes + 15) & ~(size_t)15;
}

/* Of what is all zero. */
RH_INLINE void rank_start(struct rh_rank *rank) {
    rank->nodes[0].largest = UINT32_MAX; /* above the root: ends a climb */
    rank_mark(rank, RANK_HEAD);
}

/* Without an entry, as it was made. */
RH_INLINE void rank_clear(struct rh_rank *rank) {
    memset(rank->nodes, 0, (size_t)((char *)rank->places - (char *)rank->nodes));
    rank_start(rank);
}

/* An index without an entry, of so many places; NULL where that is too many. */
static struct rh_rank *rank_new(uint64_t places, size_t regions, bool by_size) {
    places += RANK_FIRST;
    if (places >= RANK_NOWHERE - 64) return NULL;
    const size_t chunks = (size_t)(places / 64 + 1);
    size_t leaves = 1, words[RANK_BIT_LEVELS], bits = 0;
    while (leaves < chunks)
        leaves *= RANK_FAN;
    const size_t nodes = leaves + chunks + RANK_FAN;
    unsigned levels = 0;
    do { /* up to one word, where the head's bit ends every search */
        words[levels] = levels == 0 ? chunks : (words[levels - 1] + 63) / 64;
        bits += words[levels];
    } while (words[levels++] > 1);
    const size_t nodes_at = rank_aligned(sizeof(struct rh_rank));
    const size_t bits_at = nodes_at + rank_aligned(nodes * sizeof(struct rank_node));
    const size_t places_at = bits_at + rank_aligned(bits * sizeof(uint64_t));
    const size_t classes_at = places_at + rank_aligned(regions * sizeof(uint32_t));
    const size_t classes = by_size ? chunks : 0;
    unsigned char *memory = calloc(1, classes_at + classes * sizeof(struct rank_classes *));
    if (memory == NULL) return NULL;
    struct rh_rank *rank = (struct rh_rank *)(void *)memory;
    rank->leaves = (uint32_t)leaves;
    rank->chunks = (uint32_t)chunks;
    rank->nodes = (struct rank_node *)(void *)(memory + nodes_at);
    rank->bit_levels = levels;
    rank->bits[0] = (uint64_t *)(void *)(memory + bits_at);
    for (unsigned level = 1; level < levels; level++)
        rank->bits[level] = rank->bits[level - 1] + words[level - 1];
    rank->places = (uint32_t *)(void *)(memory + places_at);
    if (by_size) rank->classes = (struct rank_classes **)(void *)(memory + classes_at);
    rank_start(rank);
    return rank;
}

static void rank_drop(void *index) {
    struct rh_rank *rank = index;
    while (rank->all_classes != NULL) {
        struct rank_classes *next = rank->all_classes->next;
        free(rank->all_classes);
        rank->all_classes = next;
    }
    free(rank);
}
