/* heap_4 of csrc/core as somebody's own allocator. */
#include "rh_foreign.h"

#include <stdint.h>

#include "heap_4.h"

static struct rh_heap4 heap;

bool rh_foreign_init(void *memory, size_t size) {
    const struct rh_region region = {.base = (rh_word)(uintptr_t)memory, .size = size};
    return rh4_init(&heap, &region, NULL) == RH_OK;
}

void *rh_foreign_malloc(size_t size) {
    rh_word address;
    return rh4_malloc(&heap, size, &address) == RH_OK ? (void *)(uintptr_t)address : NULL;
}

void rh_foreign_free(void *memory) {
    rh4_free(&heap, (rh_word)(uintptr_t)memory);
}
