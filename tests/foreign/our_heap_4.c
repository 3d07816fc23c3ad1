/* Our heap_4 as anybody's allocator: the core as firmware compiles it. */
#define RH_API static __attribute__((unused))
#include "heap_4.c"

#include "rh_foreign.h"

static struct rh_heap4 heap;
static struct rh_region region;

bool rh_foreign_init(void *memory, size_t size) {
    const struct rh_options options = {.alignment = 8};
    region.base = (rh_word)(uintptr_t)memory;
    region.size = size;
    return rh4_init(&heap, &region, &options) == RH_OK;
}

void *rh_foreign_malloc(size_t size) {
    rh_word address;
    return rh4_malloc(&heap, size, &address) == RH_OK ? (void *)(uintptr_t)address : NULL;
}

void rh_foreign_free(void *memory) {
    rh4_free(&heap, (rh_word)(uintptr_t)memory);
}

size_t rh_foreign_usable_size(void *memory) {
    return (((size_t *)memory)[-1] & ~RH_TOP_BIT) - RH_HEADER_BYTES(8);
}

size_t rh_foreign_free_size(void) {
    return heap.free_size;
}

static rh_foreign_visitor foreign_visit;

static bool visit(void *context, rh_word address, rh_word size, bool allocated) {
    const size_t header = RH_HEADER_BYTES(8);
    foreign_visit((void *)(uintptr_t)(address + header), size - header, allocated, context);
    return true;
}

void rh_foreign_walk(rh_foreign_visitor visitor, void *context) {
    foreign_visit = visitor;
    rh4_walk_free(&heap, visit, context);
}
