/* heap_2 or heap_4 of csrc/core as somebody's own allocator. */
#include "rh_foreign.h"

#include <stdint.h>

#include "heap_2.h"
#include "heap_4.h"

#define JOINED_(a, b, c) a##b##c
#define JOINED(a, b, c) JOINED_(a, b, c)
#define CALL(name) JOINED(rh, HEAP, name)

static struct JOINED(rh_heap, HEAP, ) heap;

bool rh_foreign_init(void *memory, size_t size) {
    struct rh_region region = {.base = (rh_word)(uintptr_t)memory, .size = size};
    return CALL(_init)(&heap, &region, NULL) == RH_OK;
}

void *rh_foreign_malloc(size_t size) {
    rh_word address;
    return CALL(_malloc)(&heap, size, &address) == RH_OK ? (void *)(uintptr_t)address : NULL;
}

void rh_foreign_free(void *memory) {
    CALL(_free)(&heap, (rh_word)(uintptr_t)memory);
}
