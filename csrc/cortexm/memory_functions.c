/*
 * What a freestanding compiler may call. Built with -ffreestanding and
 * -fno-tree-loop-distribute-patterns, lest these loops become calls of themselves.
 */
#include "memory_functions.h"

void *memset(void *to, int byte, size_t size) {
    unsigned char *bytes = to;
    while (size-- > 0)
        *bytes++ = (unsigned char)byte;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    unsigned char *bytes = to;
    const unsigned char *source = from;
    while (size-- > 0)
        *bytes++ = *source++;
    return to;
}
