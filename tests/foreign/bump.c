/* The least that an adapter can be: nothing is given back. */
#include <stdint.h>

#include "rh_foreign.h"

static char *at, *end;

bool rh_foreign_init(void *memory, size_t size) {
    at = memory;
    end = at + size;
    return true;
}

void *rh_foreign_malloc(size_t size) {
    const size_t rounded = (size + 7) & ~(size_t)7;
    if (size == 0 || rounded < size || rounded > (size_t)(end - at)) return NULL;
    at += rounded;
    return at - rounded;
}

void rh_foreign_free(void *memory) {
    (void)memory;
}
