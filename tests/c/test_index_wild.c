/*
 * Firmware with an index and two regions far apart: headers are forged in the gap between them,
 * where a place would be far beyond the index's own memory. Built with sanitizers, which tell what
 * is written there; with assertions it says how many failed.
 *
 * usage: test_index_wild {block, below, above, link, after, whole}
 */
#include <stdio.h>
#include <string.h>

static int asserted;

#define RH_ASSERT_FAILED() (asserted++)
#define RH_API static __attribute__((unused))
#include "heap_5.h"

#include "rh_first_fit_inspect.h"

#include "heap_5.c"

enum { BYTES = 4096, APART = 1 << 20 };

static _Alignas(64) unsigned char memory[3 * APART];
static struct rh_heap4 heap;

static rh_word at(size_t offset) {
    return (rh_word)(uintptr_t)&memory[offset];
}

static rh_word forge(rh_word block, rh_word link, rh_word size) {
    const struct rh_header header = {link, size};
    memcpy((void *)(uintptr_t)block, &header, sizeof header);
    return block + sizeof header;
}

int main(int count, char **arguments) {
    struct rh_region regions[2] = {{.base = at(APART), .size = BYTES},
                                   {.base = at(2 * APART), .size = BYTES}};
    const struct rh_options options = {0};
    const char *what = count == 2 ? arguments[1] : "";
    rh_word blocks[8], address = 0;
    size_t wrong;
    if (rh5_init(&heap, regions, 2, &options, &wrong) != RH_OK) return 1;
    for (int i = 0; i < 8; i++)
        if (rh5_malloc(&heap, 16, &blocks[i]) != RH_OK) return 1;
    for (int i = 1; i < 8; i += 2)
        if (rh5_free(&heap, blocks[i]) != RH_OK) return 1;
    const rh_word gap = at(APART + APART / 2), header = sizeof(struct rh_header);
    enum rh_status status = RH_OK;
    if (strcmp(what, "block") == 0) { /* what is given back lies in the gap */
        status = rh5_free(&heap, forge(gap, 0, 64 | RH_TOP_BIT));
    } else if (strcmp(what, "below") == 0) {
        status = rh5_free(&heap, forge(at(APART / 2), 0, 64 | RH_TOP_BIT));
    } else if (strcmp(what, "above") == 0) {
        status = rh5_free(&heap, forge(at(2 * APART + APART / 2), 0, 64 | RH_TOP_BIT));
    } else if (strcmp(what, "link") == 0) { /* what a malloc finds */
        forge(gap, at(2 * APART), 4096);
        for (int i = 1; i < 8; i += 2) /* too small, and the next is in the gap */
            forge(blocks[i] - header, gap, 0);
        status = rh5_malloc(&heap, 16, &address);
    } else if (strcmp(what, "after") == 0) { /* what a block that is given back joins */
        forge(gap, at(2 * APART), 4096);
        forge(blocks[1] - header, gap, 2 * header);
        forge(blocks[2] - header, 0, (gap - (blocks[2] - header)) | RH_TOP_BIT);
        status = rh5_free(&heap, blocks[2]);
    } else { /* a size that reaches into the other region */
        forge(blocks[2] - header, 0, (at(2 * APART) - (blocks[2] - header)) | RH_TOP_BIT);
        status = rh5_free(&heap, blocks[2]);
    }
    printf("%d %d\n", status != RH_OK, asserted);
    return 0;
}
