#include "ops.h"

extern const struct rh_ops *const rh_ops_w32[5], *const rh_ops_w64[5];

const struct rh_ops *rh_ops_find(int kind, int word_bytes) {
    if (kind < 1 || kind > 5 || (word_bytes != 4 && word_bytes != 8)) return NULL;
    return word_bytes == 4 ? rh_ops_w32[kind - 1] : rh_ops_w64[kind - 1];
}
