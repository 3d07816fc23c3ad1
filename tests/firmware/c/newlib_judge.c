/*
 * What newlib's malloc grows by in the image that judges Heap3: the arena of the case.
 */
#include "cases.h"

#include <errno.h>
#include <string.h>

/* newlib-nano's own state, which a case begins with anew. */
extern void *__malloc_free_list;
extern char *__malloc_sbrk_start;

static size_t reached;

void *_sbrk(ptrdiff_t increment);
void *_sbrk(ptrdiff_t increment) {
    if (increment < 0 ? (size_t)-increment > reached
                      : (size_t)increment > xCasesArenaSize - reached) {
        errno = ENOMEM;
        return (void *)-1;
    }
    void *at = (uint8_t *)*pucCasesArena + reached;
    reached += (size_t)increment;
    return at;
}

size_t cases_newlib_reached(void) {
    return reached;
}

void cases_newlib_reset(void) {
    reached = 0;
    __malloc_free_list = NULL;
    __malloc_sbrk_start = NULL;
}
