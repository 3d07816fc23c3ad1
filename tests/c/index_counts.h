/*
 * For a build whose index must be known to be used: frees are counted, by whether the heap had its
 * index. At its end the program adds a line, "INDEXED PLAIN", to the file that
 * RTOSHEAP_INDEX_COUNTS names.
 */
#ifndef INDEX_COUNTS_H
#define INDEX_COUNTS_H

#include <stdbool.h>

void index_count_free(bool indexed);

#define RH_ON_FREE(heap, payload, size) index_count_free(RH_IS_INDEXED(heap))

#endif
