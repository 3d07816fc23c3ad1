/*
 * heap_3: the C library's malloc and free, as in FreeRTOS. For firmware; what a host runs in its
 * place, with an arena of its own, is newlib_nano.h.
 */
#ifndef RH_HEAP_3_H
#define RH_HEAP_3_H

#include "rh_heap.h"

/* The block, or NULL where the C library has none. What a size of 0 gives is its affair. */
RH_API void *rh3_malloc(size_t size);

/* Gives a block back; NULL does nothing. A wrong pointer is the C library's affair, too. */
RH_API void rh3_free(void *payload);

#endif
