/*
 * An image in which rtosheap.cortexm calls the functions of an adapter one by one: what keeps them
 * in it, and ends for the C library's ways to give up.
 */
#include "rh_foreign.h"

#include <stddef.h>

/* Nothing here calls them: a linker must keep them all the same. What else the adapter has, no
 * event of a trace calls, and firmware need not have. */
typedef void (*function)(void);
extern const function rh_measured[];
__attribute__((section(".kept"), used)) const function rh_measured[] = {
    (function)rh_foreign_init,
    (function)rh_foreign_malloc,
    (function)rh_foreign_free,
    (function)rh_foreign_realloc,
};

/* newlib's assert() calls it; the emulator finds the arguments in the registers. */
_Noreturn void __assert_func(const char *file, int line, const char *where, const char *what);
_Noreturn void __assert_func(const char *file, int line, const char *where, const char *what) {
    (void)file, (void)line, (void)where, (void)what;
    __builtin_trap();
}

_Noreturn void abort(void);
_Noreturn void abort(void) {
    __builtin_trap();
}

_Noreturn void _exit(int status);
_Noreturn void _exit(int status) {
    (void)status;
    __builtin_trap();
}

int main(void) {
    return 0;
}
