#define RH_CHECKS 1
#define RH_WORD_BYTES 8
#define RH_OPS_TABLE lab_ops_1_w64
#define RH_CONFIG_FILE "lab_config.h"
#include "word_size.h"
