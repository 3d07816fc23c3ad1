/*
 * The two functions of <string.h>, which a freestanding compiler need not have.
 */
#ifndef RH_MEMORY_FUNCTIONS_H
#define RH_MEMORY_FUNCTIONS_H

#include <stddef.h>

void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

#endif
