#define RH_WORD_BYTES 4
#define RH_OPS_TABLE rh_ops_w32
#include "word_size.h"
