#define RH_WORD_BYTES 8
#define RH_OPS_TABLE rh_ops_w64
/* But for a build whose lists have an index already. */
#define RH_RANKED (!RH_INDEX)
#include "word_size.h"
