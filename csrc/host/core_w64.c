#define RH_WORD_BYTES 8
#define RH_OPS_TABLE rh_ops_w64
#include "word_size.h"
