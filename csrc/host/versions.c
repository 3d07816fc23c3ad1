#include "versions.h"

#include <string.h>

#define NEWEST 0
#define EARLY_2 (RH_OLD_START | RH_OLD_UNBOUNDED | RH_OLD_UNMARKED)
#define PADEARLY_2 (RH_OLD_START | RH_OLD_PAD | RH_OLD_UNMARKED)
/* The first without statistics, which so have no bounds. */
#define PLAIN_4 RH_OLD_PLAIN_LINK
#define MINCAP_4 (RH_OLD_PLAIN_LINK | RH_OLD_SMALLEST)
#define EARLY_4 (MINCAP_4 | RH_OLD_EMPTY)
#define PAD_4 (MINCAP_4 | RH_OLD_PAD)
#define PLAIN_5 (PLAIN_4 | RH_OLD_ABSORB)
#define EARLY_5 (EARLY_4 | RH_OLD_ABSORB)
#define PAD_5 (PAD_4 | RH_OLD_ABSORB)
#define ABSORB_5 (MINCAP_4 | RH_OLD_ABSORB)
#define MINCAP_5 (MINCAP_4 | RH_OLD_ASSERT)

#define FIRST(name)                                                                                \
    {                                                                                              \
        name, {                                                                                    \
            RH_OLD_START, EARLY_2, NEWEST, PLAIN_4, PLAIN_5                                        \
        }                                                                                          \
    }
#define STATISTICS(name)                                                                           \
    {                                                                                              \
        name, {                                                                                    \
            RH_OLD_START, EARLY_2, NEWEST, EARLY_4, EARLY_5                                        \
        }                                                                                          \
    }
#define OVERFLOW(name)                                                                             \
    {                                                                                              \
        name, {                                                                                    \
            RH_OLD_START, PADEARLY_2, NEWEST, EARLY_4, EARLY_5                                     \
        }                                                                                          \
    }
#define ABSORBING(name)                                                                            \
    {                                                                                              \
        name, {                                                                                    \
            NEWEST, RH_OLD_PAD, NEWEST, MINCAP_4, ABSORB_5                                         \
        }                                                                                          \
    }
#define PROTECTED(name)                                                                            \
    {                                                                                              \
        name, {                                                                                    \
            NEWEST, NEWEST, NEWEST, MINCAP_4, MINCAP_5                                             \
        }                                                                                          \
    }

const struct rh_kernel rh_kernels[] = {
    FIRST("V8.2.3"),
    FIRST("V9.0.0"),
    FIRST("V10.0.0"),
    FIRST("V10.0.1"),
    FIRST("V10.1.0"),
    FIRST("V10.1.1"),
    FIRST("V10.2.0"),
    FIRST("V10.2.1"),
    STATISTICS("V10.3.0"),
    STATISTICS("V10.3.1"),
    STATISTICS("V10.4.0"),
    STATISTICS("V10.4.1"),
    STATISTICS("V10.4.2"),
    OVERFLOW("V10.4.3"),
    OVERFLOW("V10.4.4"),
    OVERFLOW("V10.4.5"),
    {"V10.4.6", {NEWEST, RH_OLD_PAD | RH_OLD_UNMARKED, NEWEST, EARLY_4, EARLY_5}},
    {"V10.5.0", {NEWEST, RH_OLD_PAD, NEWEST, PAD_4, PAD_5}},
    {"V10.5.1", {NEWEST, RH_OLD_PAD, NEWEST, PAD_4, PAD_5}},
    ABSORBING("V10.6.0"),
    ABSORBING("V10.6.1"),
    ABSORBING("V10.6.2"),
    PROTECTED("V11.0.0"),
    PROTECTED("V11.0.1"),
    PROTECTED("V11.1.0"),
    {"V11.2.0", {NEWEST, NEWEST, NEWEST, RH_OLD_SMALLEST, RH_OLD_SMALLEST | RH_OLD_ASSERT}},
    {"V11.3.0", {NEWEST, NEWEST, NEWEST, NEWEST, RH_OLD_ASSERT}},
    {"main", {NEWEST, NEWEST, NEWEST, NEWEST, NEWEST}},
};
const size_t rh_kernel_count = sizeof rh_kernels / sizeof *rh_kernels;

const char *const rh_nano_names[RH_NANO_VERSIONS] = {
    [RH_NANO_3_3_0] = "3.3.0", [RH_NANO_4_0_0] = "4.0.0",
    [RH_NANO_4_2_0] = "4.2.0", [RH_NANO_4_2_0_NULL] = "4.2.0+73d515fcf",
    [RH_NANO_4_3_0] = "4.3.0", [RH_NANO_4_4_0] = "4.4.0"};

size_t rh_find_kernel(const char *name) {
    size_t i = 0;
    while (i < rh_kernel_count && strcmp(rh_kernels[i].name, name) != 0)
        i++;
    return i;
}

size_t rh_find_newlib(const char *name) {
    size_t i = 0;
    while (i < RH_NANO_VERSIONS && strcmp(rh_nano_names[i], name) != 0)
        i++;
    return i;
}
