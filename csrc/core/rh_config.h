/*
 * The configuration of the core: the one header that says for which machine it is compiled.
 *
 * Every macro has a default; set one on the compiler's command line, or name a header of your own
 * in RH_CONFIG_FILE that sets several, e.g. -DRH_CONFIG_FILE='"my_heap_config.h"'.
 */
#ifndef RH_CONFIG_H
#define RH_CONFIG_H

#ifdef RH_CONFIG_FILE
#include RH_CONFIG_FILE
#endif

#include <stdint.h>

/* 0: firmware. A link is a pointer, and the options below are constants of the build.
 * 1: a simulated target. A link is the target's address, translated at each access, and alignment,
 *    clear-on-free and the canary belong to each heap. */
#ifndef RH_HOSTED
#define RH_HOSTED 0
#endif

/* Bytes of a header's field, the target's sizeof(size_t): 4 or 8. */
#ifndef RH_WORD_BYTES
#if RH_HOSTED || UINTPTR_MAX <= 0xFFFFFFFFu
#define RH_WORD_BYTES 4
#else
#define RH_WORD_BYTES 8
#endif
#endif

/* What the core makes of the arena's content:
 * 0: trusts it, as FreeRTOS does without configASSERT (a free of a block that is not allocated is
 *    still refused, as there);
 * 1: tests where FreeRTOS has configASSERT, and calls RH_ASSERT_FAILED() before it returns;
 * 2: compares every header with its shadow outside the arena before it is followed. */
#ifndef RH_CHECKS
#define RH_CHECKS 0
#endif

#ifndef RH_ASSERT_FAILED
#define RH_ASSERT_FAILED() ((void)0)
#endif

/* Firmware only: what FreeRTOS calls portBYTE_ALIGNMENT, configHEAP_CLEAR_MEMORY_ON_FREE and
 * configENABLE_HEAP_PROTECTOR. */
#ifndef RH_ALIGNMENT
#define RH_ALIGNMENT 8
#endif
#ifndef RH_CLEAR_ON_FREE
#define RH_CLEAR_ON_FREE 0
#endif
#ifndef RH_PROTECTOR
#define RH_PROTECTOR 0
#endif

/* Keep the minimum ever free size, the numbers of allocations and frees, and of failed
 * allocations. heap_1 and heap_2 of FreeRTOS keep none of them. */
#ifndef RH_KEEP_MINIMUM
#define RH_KEEP_MINIMUM 1
#endif
#ifndef RH_KEEP_COUNTS
#define RH_KEEP_COUNTS 1
#endif
#ifndef RH_KEEP_FAILED
#define RH_KEEP_FAILED RH_HOSTED
#endif

/* Count the free-list entries that each call reads, in the heap's `nodes`. */
#ifndef RH_KEEP_NODES
#define RH_KEEP_NODES RH_HOSTED
#endif

/* Test what a set-up is given. 0: firmware whose arena is known to be large enough, and in order.
 */
#ifndef RH_CHECK_SETUP
#define RH_CHECK_SETUP 1
#endif

/* Called by heap_4 and heap_5 with a payload's address and its block's size, when the block is
 * about to go back into the free list. */
#ifndef RH_ON_FREE
#define RH_ON_FREE(heap, payload, size) ((void)0)
#endif

/* Pass two entries of the free list in a turn of a loop, so that none has to be moved to the place
 * of the one before it: 1 to 2 instructions an entry less, some 40 bytes of code more. */
#ifndef RH_TWO_TO_A_TURN
#define RH_TWO_TO_A_TURN 1
#endif

/* 1: heap_4 and heap_5 keep an index of their free list outside the arena, so that a call's time is
 * bounded whatever the list's length; RH_INDEX_SIZE is the heap's size, and RH_INDEX_CHUNK a
 * choice: see rh_index.h. The bytes of the arena are the same. */
#ifndef RH_INDEX
#define RH_INDEX 0
#endif

/* 1: on a host, the list of heap_2, heap_4, heap_5 and newlib-nano may have an index that is made
 * and dropped while the program runs, which is the host's: csrc/host/rank.h. */
#ifndef RH_RANKED
#define RH_RANKED 0
#endif

/* Linkage of the public functions: `static` where a .c of the core is included by another. */
#ifndef RH_API
#define RH_API
#endif

/* Put before small functions that must not cost a call. */
#ifndef RH_INLINE
#if defined(__GNUC__)
#define RH_INLINE static inline __attribute__((always_inline, unused))
#else
#define RH_INLINE static inline
#endif
#endif

/* Put before larger ones that several places share. */
#ifndef RH_SHARED
#if defined(__GNUC__)
#define RH_SHARED static __attribute__((noinline, unused))
#else
#define RH_SHARED static
#endif
#endif

/* Where nothing is optimised gcc has all variables in the stack but those declared `register`, and
 * each inlined call's copies of its arguments apart from those of every other. A task's stack is
 * small: there RH_FAST is `register`, and what is marked RH_STEP, else inlined, is called: one step
 * of a malloc or a free ends before the next begins. */
#if defined(__GNUC__) && !defined(__OPTIMIZE__) && !defined(__cplusplus)
#define RH_FAST register
#define RH_STEP static __attribute__((unused))
#else
#define RH_FAST
#define RH_STEP RH_INLINE
#endif

/* Firmware in C++ may include the headers, too. */
#ifdef __cplusplus
#define RH_STATIC_ASSERT static_assert
#elif defined(_Static_assert) /* C99: a C library's makeshift, of which gcc warns */
#define RH_STATIC_ASSERT(condition, why) struct rh_static_assert
#else
#define RH_STATIC_ASSERT _Static_assert
#endif

#if RH_WORD_BYTES == 4
typedef uint32_t rh_word;
#elif RH_WORD_BYTES == 8
typedef uint64_t rh_word;
#else
#error "RH_WORD_BYTES must be 4 or 8"
#endif

#if RH_CHECKS < 0 || RH_CHECKS > 2
#error "RH_CHECKS must be 0, 1 or 2"
#endif
#if !RH_HOSTED && (RH_ALIGNMENT < RH_WORD_BYTES || (RH_ALIGNMENT & (RH_ALIGNMENT - 1)) != 0)
#error "RH_ALIGNMENT must be a power of two that is no smaller than a word"
#endif
#if !RH_HOSTED && RH_WORD_BYTES * 8 < 32
#error "the target's words are too small"
#endif

#endif
