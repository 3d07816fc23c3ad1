#include "index_counts.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned long frees[2];

void index_count_free(bool indexed) {
    frees[indexed]++;
}

__attribute__((destructor)) static void write_counts(void) {
    const char *name = getenv("RTOSHEAP_INDEX_COUNTS");
    FILE *file = name == NULL ? NULL : fopen(name, "a");
    if (file == NULL) return;
    fprintf(file, "%lu %lu\n", frees[true], frees[false]);
    fclose(file);
}
