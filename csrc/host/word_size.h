/*
 * The core compiled for one word size, behind struct rh_ops. Included once by core_w32.c and once
 * by core_w64.c, which set RH_WORD_BYTES and RH_OPS_TABLE.
 */
#define RH_API static

#include "ops.h"

#include "heap_1.c" /* NOLINT: the one place, with the drop-in files, that includes a .c */
#include "heap_2.c"
#include "heap_4.c"
#include "heap_5.c"
#if RH_WORD_BYTES == 4
#include "newlib_nano.c"
#endif
#if RH_HAS_SHADOW
#include "../policies/policy_state.h"
#endif

/* Policies: a program of the five heaps alone may do without: it compiles in a part of the time. */
#ifndef RH_POLICIES
#define RH_POLICIES RH_HAS_SHADOW
#endif

#include "state.h"

#include "fault.h"
#include "restore.h"
#if RH_RANKED || RH_POLICIES
#include "rank_tree.h"
#endif
#if RH_RANKED
#include "rank.h"
#include "rank_lists.h"
#endif

#include "ops_heap_1.h"
#include "ops_heap_2.h"
#include "ops_heap_4.h"
#if RH_WORD_BYTES == 4
#include "ops_heap_3.h"
#define HEAP3_OPS (&heap3_ops)
#else
#define HEAP3_OPS NULL
#endif

#if RH_POLICIES
#include "../policies/policy.h"

#include "ops_policy.h"
#define POLICY_OPS (&policy_ops)
#else
#define POLICY_OPS NULL
#endif

extern const struct rh_ops *const RH_OPS_TABLE[RH_KINDS];
const struct rh_ops *const RH_OPS_TABLE[RH_KINDS] = {&heap1_ops, &heap2_ops, HEAP3_OPS,
                                                     &heap4_ops, &heap5_ops, POLICY_OPS};
