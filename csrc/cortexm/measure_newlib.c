/*
 * For heap_3 in the measured image: newlib's malloc grows in the arena.
 */
#include "FreeRTOS.h"

#include <errno.h>

extern uint8_t ucHeap[];

void *_sbrk(ptrdiff_t increment);
void *_sbrk(ptrdiff_t increment) {
    static size_t reached;
    if (increment < 0 ? (size_t)-increment > reached
                      : (size_t)increment > (size_t)configTOTAL_HEAP_SIZE - reached) {
        errno = ENOMEM;
        return (void *)-1;
    }
    void *at = ucHeap + reached;
    reached += (size_t)increment;
    return at;
}
