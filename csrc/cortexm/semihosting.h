/*
 * Semihosting: a debugger's, or here an emulator's, files for a program without an OS.
 */
#ifndef RH_SEMIHOSTING_H
#define RH_SEMIHOSTING_H

#include <stddef.h>

enum semihosting_mode { SEMIHOSTING_READ = 1, SEMIHOSTING_WRITE = 5 }; /* "rb", "wb" */

int semihosting_open(const char *path, enum semihosting_mode mode); /* -1: failed */
size_t semihosting_read(int file, void *bytes, size_t size);        /* bytes read */
size_t semihosting_write(int file, const void *bytes, size_t size); /* bytes written */
void rh_exit(int status);                                           /* ends the emulation */

#endif
