/* The time in the measured image. */
#include <stdint.h>
extern uint32_t recorder_tick;
