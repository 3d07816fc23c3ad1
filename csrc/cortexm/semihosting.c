#include "semihosting.h"

#include <stdint.h>

/* Operations and reasons of Arm's semihosting specification. */
enum { SYS_OPEN = 0x01, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT = 0x18 };
enum { STOPPED_RUN_TIME_ERROR = 0x20023, STOPPED_APPLICATION_EXIT = 0x20026 };

static uintptr_t call(uintptr_t operation, uintptr_t argument) {
    register uintptr_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int semihosting_open(const char *path, enum semihosting_mode mode) {
    size_t length = 0;
    while (path[length] != '\0')
        length++;
    const uintptr_t block[3] = {(uintptr_t)path, (uintptr_t)mode, length};
    return (int)call(SYS_OPEN, (uintptr_t)block);
}

/* The calls answer with the bytes that were not read or written. */
size_t semihosting_read(int file, void *bytes, size_t size) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)bytes, size};
    return size - call(SYS_READ, (uintptr_t)block);
}

size_t semihosting_write(int file, const void *bytes, size_t size) {
    const uintptr_t block[3] = {(uintptr_t)file, (uintptr_t)bytes, size};
    return size - call(SYS_WRITE, (uintptr_t)block);
}

void rh_exit(int status) {
    call(SYS_EXIT, status == 0 ? STOPPED_APPLICATION_EXIT : STOPPED_RUN_TIME_ERROR);
    for (;;) {
    }
}
