#include "ops.h"

extern const struct rh_ops *const rh_ops_w32[RH_KINDS], *const rh_ops_w64[RH_KINDS];

const struct rh_ops *rh_ops_find(int kind, int word_bytes) {
    if (kind < 1 || kind > RH_KINDS || (word_bytes != 4 && word_bytes != 8)) return NULL;
    return word_bytes == 4 ? rh_ops_w32[kind - 1] : rh_ops_w64[kind - 1];
}
