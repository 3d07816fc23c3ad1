/*
 * cases.c as a bare-metal image: cases from the file cases.in, results to the file cases.out.
 */
#include "cases.h"
#include "memory_functions.h"
#include "semihosting.h"

/* From the linker script: the start of the RAM. */
extern uint8_t rh_arena_start[], rh_arena_end[];

static int input, output;
static size_t words[64];
static size_t words_read, word_count;
static uint8_t pending[512];
static size_t pending_bytes;

static size_t read_word(void) {
    if (words_read == word_count) {
        word_count = semihosting_read(input, words, sizeof words) / sizeof words[0];
        if (word_count == 0) rh_exit(1);
        words_read = 0;
    }
    return words[words_read++];
}

static void flush(void) {
    if (semihosting_write(output, pending, pending_bytes) != pending_bytes) rh_exit(1);
    pending_bytes = 0;
}

static void write_bytes(const void *bytes, size_t size) {
    if (pending_bytes + size > sizeof pending) flush();
    if (size > sizeof pending) {
        if (semihosting_write(output, bytes, size) != size) rh_exit(1);
        return;
    }
    memcpy(pending + pending_bytes, bytes, size);
    pending_bytes += size;
}

int main(void) {
    input = semihosting_open("cases.in", SEMIHOSTING_READ);
    output = semihosting_open("cases.out", SEMIHOSTING_WRITE);
    if (input < 0 || output < 0) return 1;
    const struct cases_platform platform = {rh_arena_start, (size_t)(rh_arena_end - rh_arena_start),
                                            read_word, write_bytes};
    cases_run(&platform);
    flush();
    return 0;
}
