/*
 * Firmware with assertions: the entry after the one that first fit finds has a damaged link, which
 * only the index follows. It says how often it asserted.
 *
 * usage: test_index_links {zero, itself}
 */
#include <stdio.h>
#include <string.h>

static int asserted;

#define RH_ASSERT_FAILED() (asserted++)
#define RH_API static __attribute__((unused))
#include "heap_4.c"

static _Alignas(64) unsigned char arena[4096];

int main(int count, char **arguments) {
    static struct rh_heap4 heap;
    struct rh_region region = {.base = (rh_word)(uintptr_t)arena, .size = sizeof arena};
    const struct rh_options options = {0};
    rh_word blocks[6], again = 0;
    if (count != 2 || rh4_init(&heap, &region, &options) != RH_OK) return 1;
    for (int i = 0; i < 6; i++)
        if (rh4_malloc(&heap, 16, &blocks[i]) != RH_OK) return 1;
    for (int i = 0; i < 6; i += 2)
        if (rh4_free(&heap, blocks[i]) != RH_OK) return 1;
    const rh_word second = blocks[2] - sizeof(struct rh_header);
    const rh_word link = strcmp(arguments[1], "itself") == 0 ? second : 0;
    memcpy(&arena[second - region.base], &link, sizeof link);
    if (rh4_malloc(&heap, 16, &again) != RH_OK || again != blocks[0]) return 1;
    printf("%d\n", asserted);
    return 0;
}
