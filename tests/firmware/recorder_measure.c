/* The recorder with a ring, and nothing else: its functions are called one by one and counted. */
#include "rh_recorder.h"

struct rh_recorder recorder;
struct rhr_ring ring;
uint32_t recorder_tick;
uint32_t ring_memory[512];

static void sink(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    (void)bytes;
    (void)count;
}

void measured_start(int with_ring);
void measured_start(int with_ring) {
    (void)rhr_ring_start(&ring, ring_memory, sizeof ring_memory);
    rhr_start(&recorder, with_ring ? rhr_ring_put : sink, &ring, 0x20000000u, RHR_REQUESTED, 0);
}

/* Nothing here calls them: the linker must keep them all the same. */
typedef void (*function)(void);
extern const function measured[];
__attribute__((section(".kept"), used)) const function measured[] = {
    (function)measured_start, (function)rhr_malloc, (function)rhr_free, (function)rhr_realloc};

int main(void) {
    return 0;
}
