/*
 * With every header checked: the entry before the block that first fit finds is damaged, and its
 * link is about to be written. It says what the malloc and then a free return, and where the fault
 * is; with an index as without one.
 */
#include <stdio.h>
#include <string.h>

#define RH_CHECKS 2
#include "heap_4.c"

static _Alignas(64) unsigned char arena[4096];
static unsigned char shadow[2 * sizeof arena];

int main(void) {
    static struct rh_heap4 heap;
    struct rh_region region = {
        .base = (rh_word)(uintptr_t)arena, .size = sizeof arena, .shadow = shadow};
    const struct rh_options options = {0};
    rh_word blocks[4], address = 0;
    if (rh_shadow_bytes(sizeof arena, RH_ALIGNMENT) > sizeof shadow) return 1;
    if (rh4_init(&heap, &region, &options) != RH_OK) return 1;
    for (int i = 0; i < 4; i++) /* small, large, small, large: two entries, far apart */
        if (rh4_malloc(&heap, i % 2 == 0 ? 16 : 1000, &blocks[i]) != RH_OK) return 1;
    if (rh4_free(&heap, blocks[0]) != RH_OK || rh4_free(&heap, blocks[3]) != RH_OK) return 1;
    const size_t before = (size_t)(blocks[0] - region.base) - sizeof(struct rh_header);
    arena[before + RH_SIZE_AT + 2] ^= 1;
    unsigned char was[sizeof arena];
    memcpy(was, arena, sizeof arena);
    const enum rh_status malloced = rh4_malloc(&heap, 500, &address);
    const rh_word at = heap.common.fault.address - region.base;
    const enum rh_status freed = rh4_free(&heap, blocks[2]);
    printf("%d %d %d %d\n", malloced == RH_CORRUPT, at == before, freed == RH_CORRUPT,
           memcmp(was, arena, sizeof arena) == 0);
    return 0;
}
