/*
 * A set of numbers below a bound, in which the next above and below is found by a word per six
 * bits. A part of policy_state.h.
 */

#define BITS_LEVELS 6
#define NOWHERE UINT32_MAX

#if defined(__GNUC__)
#define BITS_LOWEST(word) ((unsigned)__builtin_ctzll(word))
#define BITS_HIGHEST(word) (63u - (unsigned)__builtin_clzll(word))
#else
RH_INLINE unsigned bits_highest(uint64_t word) {
    unsigned n = 0;
    for (unsigned step = 32; step != 0; step /= 2)
        if (word >> step != 0) word >>= step, n += step;
    return n;
}
#define BITS_LOWEST(word) bits_highest((word) & (0 - (word)))
#define BITS_HIGHEST(word) bits_highest(word)
#endif

/* Bit n of a level's word says whether word n of the level below has any. */
struct bits {
    unsigned levels;
    uint64_t *words[BITS_LEVELS];
};

/* How many are set. */
RH_INLINE uint32_t bits_count(uint64_t word) {
    word -= word >> 1 & 0x5555555555555555u;
    word = (word & 0x3333333333333333u) + (word >> 2 & 0x3333333333333333u);
    word = (word + (word >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)((word * 0x0101010101010101u) >> 56);
}

RH_INLINE bool bits_has(const struct bits *bits, uint32_t at) {
    return (bits->words[0][at / 64] >> at % 64 & 1) != 0;
}

RH_INLINE void bits_add(struct bits *bits, uint32_t at) {
    for (unsigned level = 0; level < bits->levels; level++, at /= 64) {
        uint64_t *word = &bits->words[level][at / 64];
        const uint64_t old = *word;
        *word = old | (uint64_t)1 << at % 64;
        if (old != 0) return;
    }
}

RH_INLINE void bits_remove(struct bits *bits, uint32_t at) {
    for (unsigned level = 0; level < bits->levels; level++, at /= 64) {
        uint64_t *word = &bits->words[level][at / 64];
        *word &= ~((uint64_t)1 << at % 64);
        if (*word != 0) return;
    }
}

/* The greatest below `at`, or NOWHERE. */
RH_INLINE uint32_t bits_below(const struct bits *bits, uint32_t at) {
    unsigned level = 0;
    uint64_t word = bits->words[0][at / 64] & (((uint64_t)1 << at % 64) - 1);
    while (word == 0) {
        if (++level == bits->levels) return NOWHERE;
        at /= 64;
        word = bits->words[level][at / 64] & (((uint64_t)1 << at % 64) - 1);
    }
    at = (at & ~63u) + BITS_HIGHEST(word);
    while (level-- > 0)
        at = at * 64 + BITS_HIGHEST(bits->words[level][at]);
    return at;
}

/* The least from `at` on, or NOWHERE. */
RH_INLINE uint32_t bits_from(const struct bits *bits, uint32_t at) {
    unsigned level = 0;
    uint64_t word = bits->words[0][at / 64] & ~(uint64_t)0 << at % 64;
    while (word == 0) {
        if (++level == bits->levels) return NOWHERE;
        at /= 64;
        word = bits->words[level][at / 64] & ~(uint64_t)0 << at % 64 << 1;
    }
    at = (at & ~63u) + BITS_LOWEST(word);
    while (level-- > 0)
        at = at * 64 + BITS_LOWEST(bits->words[level][at]);
    return at;
}

/* --- how many of a set lie below a number (a Fenwick tree) ---------------------------------------
 */

struct counts {
    uint32_t *sums; /* from 1 on */
    uint32_t length;
};

RH_INLINE void counts_add(struct counts *counts, uint32_t at, uint32_t more) {
    for (at++; at <= counts->length; at += at & (0 - at))
        counts->sums[at] += more;
}

RH_INLINE uint32_t counts_below(const struct counts *counts, uint32_t at) {
    uint32_t count = 0;
    for (; at != 0; at &= at - 1)
        count += counts->sums[at];
    return count;
}

/* --- the first that is large enough (a tree of the largest) --------------------------------------
 */

struct tallest {
    uint32_t *largest; /* node n's children are 2 n and 2 n + 1 */
    uint32_t leaves;
};

RH_INLINE void tallest_set(struct tallest *tree, uint32_t leaf, uint32_t value) {
    uint32_t at = tree->leaves + leaf;
    tree->largest[at] = value;
    while (at > 1) {
        const uint32_t other = tree->largest[at ^ 1];
        if (other > value) value = other;
        at >>= 1;
        if (tree->largest[at] == value) return;
        tree->largest[at] = value;
    }
}

/* The first leaf of at least `least`, or NOWHERE. */
RH_INLINE uint32_t tallest_first(const struct tallest *tree, uint32_t least) {
    uint32_t at = 1;
    if (tree->largest[1] < least) return NOWHERE;
    while (at < tree->leaves) {
        at *= 2;
        at += tree->largest[at] < least;
    }
    return at - tree->leaves;
}

/* The first such leaf from `leaf` on. */
RH_INLINE uint32_t tallest_from(const struct tallest *tree, uint32_t leaf, uint32_t least) {
    uint32_t at = tree->leaves + leaf;
    while (tree->largest[at] < least) {
        while ((at & 1) != 0)
            at >>= 1;
        if (at == 0) return NOWHERE;
        at++;
    }
    while (at < tree->leaves) {
        at *= 2;
        at += tree->largest[at] < least;
    }
    return at - tree->leaves;
}
