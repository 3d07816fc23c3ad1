/* The C library's malloc, over the arena. */
#include "rh_foreign.h"

#include <errno.h>
#include <stdlib.h>

static char *start, *reached, *end;

bool rh_foreign_init(void *memory, size_t size) {
    start = reached = memory;
    end = start + size;
    return true;
}

void *_sbrk(ptrdiff_t increment);
void *_sbrk(ptrdiff_t increment) {
    if (increment > end - reached || increment < start - reached) {
        errno = ENOMEM;
        return (void *)-1;
    }
    char *const at = reached;
    reached += increment;
    return at;
}

void *rh_foreign_malloc(size_t size) {
    return malloc(size);
}

void rh_foreign_free(void *memory) {
    free(memory);
}

void *rh_foreign_realloc(void *memory, size_t size) {
    return realloc(memory, size);
}
