#include "heap_3.h"

#include <stdlib.h>

RH_API void *rh3_malloc(size_t size) {
    return malloc(size);
}

RH_API void rh3_free(void *payload) {
    free(payload);
}
