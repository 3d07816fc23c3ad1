/*
 * How often a loop of a malloc or a free can turn, said where the loop begins.
 *
 *     RH_WHILE(condition, most) { ... }
 *
 * is `while (condition)`, to the last instruction; its body runs at most `most` times from when the
 * loop is entered until it is left. In firmware `most` is a constant expression of the heap's size,
 * from which rtosheap.cortexm.bound() makes the longest path. A build with RH_CHECK_LOOPS counts,
 * and aborts where a loop turns more often.
 */
#ifndef RH_LOOP_H
#define RH_LOOP_H

#include <stdbool.h>

#include "rh_config.h"

#ifndef RH_CHECK_LOOPS
#define RH_CHECK_LOOPS 0
#endif

#if RH_CHECK_LOOPS
#include <stdio.h>
#include <stdlib.h>

RH_INLINE bool rh_loop_turns(rh_word *turns, rh_word most, const char *file, int line) {
    if ((*turns)++ < most) return true;
    fprintf(stderr, "%s:%d: the loop turns more than %lu times\n", file, line, (unsigned long)most);
    abort();
}
#define RH_LOOP_NAME_(line) rh_turns_##line
#define RH_LOOP_NAME(line) RH_LOOP_NAME_(line)
#define RH_WHILE(condition, most)                                                                  \
    for (rh_word RH_LOOP_NAME(__LINE__) = 0;                                                       \
         (condition) &&                                                                            \
         rh_loop_turns(&RH_LOOP_NAME(__LINE__), (rh_word)(most), __FILE__, __LINE__);)
#else
#define RH_WHILE(condition, most) while (condition)
#endif

#endif
