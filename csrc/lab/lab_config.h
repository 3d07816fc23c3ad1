/*
 * The core's configuration in the corruption laboratory: each access to the arena is watched, and
 * a failed assertion ends the call. A level's RH_CHECKS is set by the file that includes this.
 */
#ifndef RH_LAB_CONFIG_H
#define RH_LAB_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

/* Both leave the call by longjmp() where it is at its end. */
void lab_trap(uint64_t address, uint64_t bytes, bool writes);
void lab_assert_failed(void);

#define RH_HOSTED 1
#define RH_TRAP(region, address, bytes, writes)                                                    \
    ((void)(region), lab_trap((address), (bytes), (writes)))
#define RH_ASSERT_FAILED() lab_assert_failed()

/* FreeRTOS tests the bounds of a link, and of what is freed, where the heap protector is configured
 * only. */
#if RH_CHECKS == 1
#define RH_ASSERT_LINK(heap, link)                                                                 \
    RH_ASSERT((heap)->canary == 0 || (link) - (heap)->lowest <= (heap)->end - (heap)->lowest,      \
              RH_CORRUPT)
#define RH_ASSERT_BLOCK(heap, block)                                                               \
    RH_ASSERT((heap)->canary == 0 || (block) - (heap)->lowest < (heap)->end - (heap)->lowest,      \
              RH_INVALID_FREE)
#define RH_ASSERT_SIZE(heap, block, size) ((void)(size)) /* FreeRTOS has no such test */
#endif

#endif
