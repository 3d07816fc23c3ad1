#define RH_CHECKS 2
#define RH_WORD_BYTES 4
#define RH_OPS_TABLE lab_ops_2_w32
#define RH_CONFIG_FILE "lab_config.h"
#include "word_size.h"
