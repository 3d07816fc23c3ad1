/*
 * An allocator with a bug, for the documentation of rtosheap.testing: 64 units of 16 bytes, one bit
 * each in `used`; a block is a run of units, whose number is stored in its first 8 bytes.
 * -DPOOL_FIXED compiles it without the bug.
 */
#include <stddef.h>
#include <stdint.h>

struct pool {
    uint64_t used;
    unsigned char memory[1024];
};

void *pool_malloc(struct pool *pool, size_t size);
void pool_free(struct pool *pool, void *payload);

static uint64_t mask(uint64_t first, uint64_t units) {
    return (units >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << units) - 1) << first;
}

void *pool_malloc(struct pool *pool, size_t size) {
    const uint64_t units = ((uint64_t)size + 8 + 15) / 16;
    for (uint64_t first = 0; first + units <= 64; first++) {
        if ((pool->used & mask(first, units)) != 0) continue;
        pool->used |= mask(first, units);
        uint64_t *header = (uint64_t *)(void *)(pool->memory + 16 * first);
        *header = units;
        return header + 1;
    }
    return NULL;
}

void pool_free(struct pool *pool, void *payload) {
    const uint64_t *header = (const uint64_t *)payload - 1;
    const uint64_t first = (uint64_t)((const unsigned char *)header - pool->memory) / 16;
#ifdef POOL_FIXED
    pool->used &= ~mask(first, *header);
#else
    pool->used &= ~mask(first, *header + 1); /* frees a unit too many */
#endif
}
